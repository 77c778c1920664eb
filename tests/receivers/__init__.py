"""Real receivers for the sinks, each a private instance on the loopback, and tests of the beds.

A receiver is a context manager: inside the `with` block it runs, has an address, reads back what it
took (`read(count)` waits for that many), and can be killed, restarted, paused and resumed.

    with FluentServer() as server:            # fluent.py; unix=, tls=, shared_key=, users=
        server.address                        # "tcp:127.0.0.1:PORT"
        server.read(10)                       # [Entry(tag, seconds, record, chunk, ...)]
        server.restart()                      # SIGKILL, then the same address again

    TansuBroker(lasting=True), MockBroker()   # kafka.py: .client, .make_topic(), .read(topic, 10)
    Rsyslog()                                 # rsyslog.py: .udp .tcp .tls .unix, .read(10)
    RabbitMq(), NotificationListener(url)     # rabbitmq.py
    Nfcapd(), Nfacctd()                       # collectors.py: .address, .read(10)
    OtlpReceiver()                            # otlp.py: .http .grpc, .refuse(503), .read(10)
    ClickHouse()                              # clickhouse.py: .query(sql), .wait(sql, value)
    wireshark.fields(path, ["frame.comment"]) # tshark on a file
    ecs.problems(document), ocsf.problems(event), hubble.read_line(line)  # schemas/
"""
