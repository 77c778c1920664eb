"""The process that speaks to OpenStack's bus, so that oslo.messaging is not in the program's own.

The library loads eventlet, takes a second to load, and has locks and threads that must be of one
kind with those of who calls it. The program runs under either hub of os-ken; this process under
none. It ends when the socket that is its standard input does.

One JSON object a line: {id, bus: {url, topic, publisher_id}, payload} for each message, answered by
{id, error}: null, or why it was not acknowledged.
"""

from __future__ import annotations

import json
import os
import queue
import socket
import threading
from typing import Any

EVENT_TYPE = "ryu_droplog.drop"
TRIES = 2
"""How often the driver for RabbitMQ connects anew for one message."""
ACKNOWLEDGE_TIME = 30.0
"""Seconds that Kafka has to acknowledge a message."""
_LIBRARY = "oslo.messaging has another way to send than this program knows"


class NotConfirmed(Exception):
    """Nobody said that the message was taken."""


class Bus:
    """The library, with what became of each message."""

    def __init__(self, url: str, topic: str, publisher_id: str) -> None:
        """Raises what the library raises on a URL that it does not take."""
        import oslo_messaging
        from oslo_config import cfg

        self._confirms: list[str | None] | None = None
        if url.startswith("kafka:"):
            self._confirms = []
            _have_kafka_confirm(self._confirms)
        conf = cfg.ConfigOpts()
        conf([], project="ryu_droplog", default_config_files=[])
        transport = oslo_messaging.get_notification_transport(conf, url=url)
        self._outcomes: list[Exception | None] = []
        self._watch(transport)
        self._notifier = oslo_messaging.Notifier(
            transport, publisher_id, driver="messagingv2", topics=[topic], retry=TRIES
        )

    def send(self, payload: Any) -> None:
        """Send one notification; raises Exception where it was not acknowledged."""
        self._outcomes.clear()
        if self._confirms is not None:
            self._confirms.clear()
        self._notifier.warn({}, EVENT_TYPE, payload)
        if not self._outcomes:
            raise NotConfirmed(_LIBRARY)
        for error in self._outcomes:
            if error is not None:
                raise error
        if self._confirms is not None and self._confirms != [None]:
            raise NotConfirmed(next(filter(None, self._confirms), _LIBRARY))

    def _watch(self, transport: Any) -> None:
        """Learn what the library's own driver logs and keeps to itself."""
        send = transport._send_notification

        def watched(*arguments: Any, **more: Any) -> None:
            try:
                send(*arguments, **more)
            except Exception as error:
                self._outcomes.append(error)
                raise
            self._outcomes.append(None)

        transport._send_notification = watched


def _have_kafka_confirm(confirms: list[str | None]) -> None:
    """Have the library's driver for Kafka wait for the broker, which it does not by itself."""
    import confluent_kafka

    producer: Any = confluent_kafka.Producer

    class Confirming(producer):  # type: ignore[misc]
        """Adds to `confirms` what became of each message."""

        def produce(self, *arguments: Any, **more: Any) -> None:
            def delivered(error: Any, message: Any) -> None:
                confirms.append(None if error is None else error.str())

            super().produce(*arguments, on_delivery=delivered, **more)
            if self.flush(ACKNOWLEDGE_TIME):
                self.purge()
                self.flush(1.0)

    confluent_kafka.Producer = Confirming  # type: ignore[misc]


def main() -> None:
    """Answer until nobody is left who asks."""
    channel = socket.socket(fileno=0)
    lines: queue.Queue[bytes] = queue.Queue()

    def read() -> None:
        with channel.makefile("rb") as stream:
            for line in stream:
                lines.put(line)
        os._exit(0)  # whatever the library is waiting for

    threading.Thread(target=read, daemon=True).start()
    bus: Bus | None = None
    settings = None
    while True:
        asked = json.loads(lines.get())
        error = None
        try:
            if bus is None or asked["bus"] != settings:
                settings = asked["bus"]
                bus = Bus(**settings)
            bus.send(asked["payload"])
        except Exception as raised:  # the library raises anything
            error = _words(raised)
        answer = json.dumps({"id": asked["id"], "error": error})
        channel.sendall(answer.encode() + b"\n")


def _words(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text or type(error).__name__


if __name__ == "__main__":
    main()
