"""How many drops a second go into rsyslog by RFC 5424, beside rsyslog's own limit.

Its limit is how fast it takes octet-counted messages that were made before, from a client that does
nothing else. A rate counts what was handed over, and what rsyslog has not taken by then waits in
the connection. UDP is not measured: nothing there holds the sender back.
"""

from __future__ import annotations

import socket
import time

from benchmarks.into_receiver import Work, make, measure, through, use_receivers
from benchmarks.report import Report
from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.delivery import Chunk
from ryu_droplog.sinks.syslog_forwarding import ForwardedSyslog
from ryu_droplog.sinks.syslog_message import octet_counted


class Kept(ForwardedSyslog):
    """Makes messages, and sends none."""

    def __init__(self, spec: SinkSpec, context: SinkContext) -> None:
        super().__init__(spec, context)
        self.chunks: list[bytes] = []

    def send(self, chunk: Chunk) -> None:
        self.chunks.append(b"".join(map(octet_counted, chunk.items)))


def run(report: Report, quick: bool) -> None:
    """Measure each way into rsyslog that holds the sender back."""
    use_receivers()
    from receivers.rsyslog import Rsyslog

    section = report.section("forward_syslog", "syslog: drops a second into rsyslog")
    with Rsyslog() as rsyslog:
        tls = {"ca": str(rsyslog.certificates.ca)}
        measure(
            section,
            {
                "rsyslog alone, opflex, tcp": lambda work: _alone(rsyslog.tcp_port, work),
                "opflex, tcp": lambda work: through(
                    work, make("syslog", to=rsyslog.tcp, encode="opflex")
                ),
                "opflex, tls": lambda work: through(
                    work, make("syslog", to=rsyslog.tls, encode="opflex", tls=tls)
                ),
                "ecs, tcp": lambda work: through(work, make("syslog", to=rsyslog.tcp)),
                "cef, tcp": lambda work: through(
                    work, make("syslog", to=rsyslog.tcp, encode="cef")
                ),
                "opflex, unix": lambda work: through(
                    work, make("syslog", to=rsyslog.unix, format="rfc5424", encode="opflex")
                ),
            },
            quick,
        )
    section.note("processor: of this program alone, a drop; structured data in every message")


def _alone(port: int, work: Work) -> tuple[float, float]:
    kept = make("syslog", Kept, to="tcp:127.0.0.1:1", encode="opflex")
    through(work, kept)
    assert isinstance(kept, Kept)
    begin, processor = time.monotonic(), time.process_time()
    with socket.create_connection(("127.0.0.1", port)) as client:
        for chunk in kept.chunks:
            client.sendall(chunk)
    return time.monotonic() - begin, time.process_time() - processor
