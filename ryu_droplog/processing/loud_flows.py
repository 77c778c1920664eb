"""Which flows of packets are the loudest while a meter drops: a stage before a bridge's chain.

It looks at some messages of each batch, and only while it is asked to: what it costs a drop is a
fraction of a microsecond at any rate. It also hands the chain what the switch counted of loud flows
that it does not send any more.
"""

from __future__ import annotations

import random
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from ryu_droplog.model import cookie
from ryu_droplog.model.errors import MalformedMessage
from ryu_droplog.packet.packet_in import parse
from ryu_droplog.packet.signature import Signature, in_port, signature_of
from ryu_droplog.processing.chain import Chain, Reader
from ryu_droplog.processing.heavy_hitters import HeavyHitters
from ryu_droplog.processing.summaries import Sample, Summary

LOOKS = 4
"""Messages of a batch that are looked at; batches come every 10 ms at most under load, so that
some 400 a second are."""
TRACKED = 64
"""Loud flows that are counted at once, a table."""


class LoudFlow(NamedTuple):
    """Packets of one signature that one flow of ours sends."""

    cookie: int
    """Of our flow."""
    signature: Signature


class Loudness(NamedTuple):
    """What was seen of one table's drops."""

    total: int
    """Drops that were looked at."""
    flows: Sequence[tuple[LoudFlow, int, Sample]]
    """The loudest first: how often each was seen at least, and one of its packets."""


class _Table:
    """The loud flows of one table since they were last asked for."""

    def __init__(self) -> None:
        self.hitters: HeavyHitters[LoudFlow] = HeavyHitters(TRACKED)
        self.samples: dict[LoudFlow, Sample] = {}

    def loudness(self) -> Loudness:
        samples = self.samples.copy()
        flows = [
            (flow, least, samples[flow]) for flow, least in self.hitters.most() if flow in samples
        ]
        return Loudness(self.hitters.total, flows)


class LoudFlows:
    """The stage before a chain; `watch`, `take_loudness` and `summarise` are for other threads."""

    def __init__(
        self,
        chain: Chain,
        reader: Reader,
        generation: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`reader` is the chain's; `generation` is the run's. `clock` tells the time of day."""
        self._chain = chain
        self._reader = reader
        self._generation = generation
        self._clock = clock
        self._watching = False
        self._tables: dict[int, _Table] = {}
        self._summaries: deque[Summary] = deque()

    # For whoever reconciles the bridge

    def watch(self, watching: bool) -> None:
        """Look at messages from now on, or not any more."""
        if not watching:
            self._tables = {}
        self._watching = watching

    def take_loudness(self) -> dict[int, Loudness]:
        """What was seen of each table since this was last asked."""
        tables, self._tables = self._tables, {}
        return {table_id: table.loudness() for table_id, table in list(tables.items())}

    def summarise(self, summary: Summary) -> None:
        """Have the chain take what the switch counted of a loud flow; never waits."""
        self._summaries.append(summary)

    # As a stage, in the thread of the chain

    def take(self, messages: Sequence[bytes], read_at: float, now: float) -> None:
        """Look at some of a batch, and send all of it on."""
        if self._watching:
            try:
                self._look(messages)
            except Exception:  # it costs nothing but the look
                self.watch(False)
                self._chain.complaints.append(f"a look at loud flows: {traceback.format_exc()}")
        self._chain.take(messages, read_at, now)

    def tick(self, now: float) -> None:
        """Hand the chain what was counted, then the time."""
        while self._summaries:
            self._chain.summarise(self._summaries.popleft(), self._clock(), now)
        self._chain.tick(now)

    def _look(self, messages: Sequence[bytes]) -> None:
        step = -(-len(messages) // LOOKS)
        for message in messages[random.randrange(step) :: step] if step else ():
            with suppress(MalformedMessage):
                self._note(message)

    def _note(self, message: bytes) -> None:
        packet_in = parse(message)
        if not cookie.of_run(packet_in.cookie, self._generation):
            return
        table = self._tables.get(packet_in.table_id)
        if table is None:
            table = self._tables[packet_in.table_id] = _Table()
        signature = signature_of(packet_in.frame, in_port(packet_in.metadata))
        if signature is None:
            table.hitters.total += 1
            return
        flow = LoudFlow(packet_in.cookie, signature)
        gone = table.hitters.add(flow)
        if gone is not None:
            table.samples.pop(gone, None)
        if flow not in table.samples:
            arrival = self._reader.read(message)
            if arrival is not None:
                table.samples[flow] = Sample(*arrival)
