"""One node of a simulated fleet: its drops in their order, as records."""

from __future__ import annotations

import bisect
import re
import struct
from collections.abc import Iterator, Sequence
from itertools import accumulate
from random import Random
from typing import NamedTuple

from fleet.catalogue import BRIDGE, Problem
from fleet.frames import Flow
from ryu_droplog.model.location import DropFlow, Location
from ryu_droplog.packet.ethernet import decode
from ryu_droplog.plugins.parts import ENCODERS
from ryu_droplog.records.bridges import BridgeDirectory
from ryu_droplog.records.context import EncoderContext

FLOWS = 3
"""Flows of a problem on a node at most."""
_REPEATED = 1 / 16
"""Part of the records that stand for several packets."""
_PORTS = 40
_OXM_PORT, _OXM_REG5 = 0x80000004, 0x00010A04  # OpenFlow 1.3.5 section 7.2.3.2; ovs-fields(7)
_SIGNATURE = re.compile(rb'"signature":"([^"]+)"')


class Event(NamedTuple):
    """A record, and what is known of it without reading it."""

    problem: Problem
    node: int
    source: str
    """IP address of the sender."""
    first: float
    """When the first of its packets came, in seconds since the epoch."""
    last: float
    packets: int
    key: bytes
    """The record's signature."""
    data: bytes
    """The record, encoded."""


class _Presence:
    """A problem on a node."""

    def __init__(self, problem: Problem, node: int) -> None:
        self.problem = problem
        self.location = _location(problem, node)
        self.flows = [Flow(problem, node, number) for number in range(1 + problem.number % FLOWS)]
        self.keys: list[bytes] = [b""] * len(self.flows)
        port = 1 + problem.number % _PORTS
        self.metadata = struct.pack("!IIII", _OXM_PORT, port, _OXM_REG5, port)
        self.last = 0.0
        """When its last packet came; 0: none yet."""


class Node:
    """The drops of one node, in the order of their time."""

    def __init__(
        self, number: int, problems: Sequence[Problem], encode: str, begin: float, seed: int
    ) -> None:
        """`begin` is the time of second 0, in seconds since the epoch; `encode` an encoding."""
        self._number, self._begin = number, begin
        self._random = Random(f"{seed} {number} {begin}")
        here = [problem for problem in problems if number in problem.starts]
        self._coming = sorted(here, key=lambda problem: -problem.starts[number])
        self._present: list[_Presence] = []
        self._weights: list[float] = []
        self._time = begin
        bridges = BridgeDirectory()
        bridges.learn_datapath_id(BRIDGE, 0xFA163E000000 + number)
        bridges.learn_ports(BRIDGE, {port: f"tap{number}-{port}" for port in range(1, _PORTS + 1)})
        context = EncoderContext(node_name(number), bridges=bridges, clock=self._clock)
        self._encode = ENCODERS.get(encode)(context)

    def second(self, second: int, rate: int) -> Iterator[Event]:
        """What it drops in a second of the simulation: `rate` records.

        A problem that comes to the node comes with the next record.
        """
        random = self._random
        for slot in range(rate):
            moment = second + (slot + random.random()) / rate
            if self._coming and self._coming[-1].starts[self._number] <= moment:
                presence = self._arrive(self._coming.pop())
            else:
                where = bisect.bisect(self._weights, random.random() * self._weights[-1])
                presence = self._present[where]
            yield self._drop(presence, self._begin + moment)

    def _arrive(self, problem: Problem) -> _Presence:
        presence = _Presence(problem, self._number)
        self._present.append(presence)
        self._weights = list(accumulate(other.problem.weight for other in self._present))
        return presence

    def _drop(self, presence: _Presence, time: float) -> Event:
        random = self._random
        which = random.randrange(len(presence.flows))
        flow = presence.flows[which]
        drop = decode(flow.frame(random), time, presence.location, presence.metadata)
        first, packets = time, 1
        if presence.last and random.random() < _REPEATED:
            first, packets = presence.last, random.randint(2, 50)
            drop.repeated, drop.first_time = packets, first
        presence.last = self._time = time
        data = self._encode(drop)
        if not presence.keys[which]:
            presence.keys[which] = _signature(data)
        return Event(
            presence.problem,
            self._number,
            flow.source,
            first,
            time,
            packets,
            presence.keys[which],
            data,
        )

    def _clock(self) -> float:
        return self._time + 0.002


def node_name(number: int) -> str:
    """What a node is called."""
    return f"node-{number:04}"


def _location(problem: Problem, node: int) -> Location:
    flow = None
    if problem.match:
        cookie = Random(f"{problem.number} {node}").getrandbits(64)  # as an agent picks them
        names = {"rule": problem.rule}
        flow = DropFlow(cookie, problem.priority, problem.match, names)
    return Location(
        key=(BRIDGE, problem.table_id),
        bridge=BRIDGE,
        table_id=problem.table_id,
        table=problem.table,
        reason=problem.reason,
        policy=problem.rule,
        flow=flow,
        pipeline=problem.pipeline,
        cause=problem.cause,
    )


def _signature(data: bytes) -> bytes:
    found = _SIGNATURE.search(data)
    if found is None:
        raise ValueError("expected a record with a signature: use the encoding native or ecs")
    return found[1]
