"""The way of a packet, from the bytes of a PacketIn to the sinks, on one page."""

from __future__ import annotations

from collections.abc import Sequence

from ryu_droplog.classify import Classifier
from ryu_droplog.drop import Drop
from ryu_droplog.errors import MalformedMessage
from ryu_droplog.ledger import Ledger
from ryu_droplog.packet import frame, packetin
from ryu_droplog.sinks.base import Sink
from ryu_droplog.throttle import Throttle


class Chain:
    """packetin - frame - classify - throttle - sinks, for one bridge.

    Every drop is counted where its way ends: here, or by the sink. Runs in one thread, its
    intake's.
    """

    def __init__(
        self,
        classifier: Classifier,
        ledger: Ledger,
        throttle: Throttle | None,
        sinks: Sequence[Sink],
    ) -> None:
        """`throttle` is this chain's own; None: repeats are not folded."""
        self._classifier = classifier
        self._ledger = ledger
        self._throttle = throttle
        self._sinks = sinks

    def take(self, messages: Sequence[bytes], now: float) -> None:
        """Send a batch of PacketIns on its way; never waits, never raises on their content.

        `now` is when they were read, in seconds since the epoch.
        """
        ledger = self._ledger
        find_origin = self._classifier.origin
        drops = []
        for message in messages:
            try:
                packet_in = packetin.parse(message)
            except MalformedMessage:
                ledger.malformed += 1
                continue
            origin = find_origin(packet_in)
            if origin is None:
                ledger.strangers += 1
                continue
            drop = frame.decode(packet_in.frame, now, origin, packet_in.metadata)
            origin.book.received += 1
            if drop.truncated:
                ledger.truncated += 1
            if not origin.named:
                ledger.unnamed += 1
            drops.append(drop)
        self._pass_on(self._fold(drops))

    def tick(self, now: float) -> None:
        """Close the throttle's windows that have ended; `now` in seconds since the epoch."""
        if self._throttle is not None:
            self._pass_on(self._throttle.expire(now))

    def _fold(self, drops: list[Drop]) -> list[Drop]:
        if self._throttle is None:
            return drops
        return [kept for drop in drops for kept in self._throttle.take(drop)]

    def _pass_on(self, drops: Sequence[Drop]) -> None:
        if drops:
            for sink in self._sinks:
                sink.put(drops)
