"""A sink that sends to a receiver of the test's own, for tests of what all such sinks share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from drops import drop, location
from frames import IPV4, ethernet, ipv4, udp
from sinks import context

from ryu_droplog.config.sink_spec import QueueSpec, SinkSpec
from ryu_droplog.model.drop import Drop
from ryu_droplog.sinks.delivery import Chunk
from ryu_droplog.sinks.forwarding import ForwardingSink
from ryu_droplog.sinks.forwarding_options import DeliveryOptions

HERE, THERE = location(4), location(7)


def numbered(number: int, repeated: int = 0) -> Drop:
    """A drop that is known again by its source port, in one of two tables."""
    packet = ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 17, udp(number, 53)))
    made = drop(packet, THERE if number % 3 == 0 else HERE)
    made.repeated = repeated
    return made


class Sending(ForwardingSink):
    """Sends the ports of drops to a list, or raises what the test wants."""

    Options = DeliveryOptions

    def __init__(self, directory: Path | None = None, **settings: Any) -> None:
        """`directory` is the spool's; `settings` may have drops, overflow, bytes, age, delivery."""
        spool = None
        if directory is not None:
            spool = {"directory": str(directory)}
            spool |= {key: settings.pop(key) for key in ("bytes", "age") if key in settings}
            settings.setdefault("delivery", "at_least_once")
        queue = QueueSpec(settings.pop("drops", 100_000), settings.pop("overflow", "newest"))
        options = DeliveryOptions.model_validate({"spool": spool, **settings})
        super().__init__(SinkSpec("soc", "sending", queue=queue, options=options), context())
        self.arrived: list[Chunk] = []
        self.tries: list[str] = []
        """Ids of the chunks of all tries."""
        self.trouble: Callable[[Chunk], None] = lambda chunk: None
        """Called at each try, and may raise."""
        self.may_send = threading.Event()
        self.may_send.set()

    def encode(self, drop: Drop) -> Any:
        assert drop.l4 is not None
        return f"{drop.l4.src_port}".encode()

    def send(self, chunk: Chunk) -> None:
        self.tries.append(chunk.id)
        while not self.may_send.wait(0.01):
            if self.gives_up:
                raise TimeoutError("no acknowledgement")
        self.trouble(chunk)
        self.arrived.append(chunk)

    @property
    def ports(self) -> list[int]:
        """The source ports of what has arrived."""
        return [int(item) for chunk in self.arrived for item in chunk.items]


class Failing:
    """Raises some errors in turn, then nothing."""

    def __init__(self, errors: Sequence[Exception]) -> None:
        self._errors = iter(errors)

    def __call__(self, chunk: Chunk) -> None:
        error = next(self._errors, None)
        if error is not None:
            raise error
