"""A sink of each type that forwards, and its receiver: what shows that each fails alone."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ryu_droplog.config.sink_spec import QueueSpec, SinkSpec
from ryu_droplog.plugins.parts import SINKS
from ryu_droplog.sinks.base import Sink
from ryu_droplog.sinks.context import SinkContext

from .collectors import Nfcapd
from .fluent import FluentServer
from .kafka import TansuBroker
from .otlp import OtlpReceiver
from .rabbitmq import RabbitMq
from .rsyslog import Rsyslog

TOPIC = "ryu_droplog.drops"


class Receivers:
    """One receiver for each type of sink, in a `with` block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fluent, self._rsyslog, self._rabbit = FluentServer(), Rsyslog(), RabbitMq()
        self._kafka, self._otlp, self._nfcapd = TansuBroker(), OtlpReceiver(), Nfcapd()
        self._exit = contextlib.ExitStack()
        self.switches: Mapping[str, tuple[Callable[[], None], Callable[[], None]]] = {
            "fluent": (self._fluent.kill, self._fluent.start),
            "kafka": (self._kafka.kill, self._start_kafka),
            "notification": (self._rabbit.kill, self._rabbit.start),
            "otlp": (self._otlp.close_ports, self._otlp.open_ports),
            "syslog": (self._rsyslog.kill, self._rsyslog.start),
        }
        """By type of sink: what kills its receiver, and what starts it again. IPFIX goes by UDP,
        which does not know whether somebody listens, and files have no receiver."""

    def __enter__(self) -> Receivers:
        with contextlib.ExitStack() as entered:
            for receiver in (self._fluent, self._rsyslog, self._rabbit, self._kafka, self._nfcapd):
                entered.enter_context(receiver)
            entered.enter_context(self._otlp)
            self._kafka.make_topic(TOPIC)
            (self._folder / "url").write_text(self._rabbit.url)
            self._exit = entered.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exit.close()

    def _start_kafka(self) -> None:
        self._kafka.start()
        self._kafka.make_topic(TOPIC)

    def sinks(self, queue: int) -> dict[str, Sink]:
        """A sink of each type, not started, with room for so many drops."""
        options: Mapping[str, Mapping[str, Any]] = {
            "file": {"path": str(self._folder / "drops.log"), "encode": "opflex"},
            "fluent": {"servers": [self._fluent.address], "require_ack": True},
            "ipfix": {"to": self._nfcapd.address},
            "kafka": {"brokers": [self._kafka.brokers], "topic": TOPIC},
            "notification": {"url_file": str(self._folder / "url"), "window": 1.0},
            "otlp": {"endpoint": self._otlp.http},
            "pcapng": {"path": str(self._folder / "drops.pcapng")},
            "syslog": {"to": self._rsyslog.tcp, "encode": "ecs"},
        }
        made = {}
        for type, keys in options.items():
            kind = SINKS.get(type)
            chosen = kind.Options.model_validate(keys)
            spec = SinkSpec(type, type, queue=QueueSpec(queue), options=chosen)
            made[type] = kind(spec, SinkContext(threading, node="node.test"))
        return made


@contextlib.contextmanager
def running(sinks: Mapping[str, Sink], patience: float) -> Iterator[None]:
    """All of them at work; they are ended in any case, within so many seconds each."""
    for sink in sinks.values():
        sink.start()
    try:
        yield
    finally:
        for sink in sinks.values():
            sink.abandoned.set()
            sink.close(patience)
