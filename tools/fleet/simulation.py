"""All nodes of a simulated fleet, a day ago and now."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

from fleet.catalogue import MINUTE, catalogue, warm_up
from fleet.node import Event, Node
from fleet.truth import Truth

DAY = 86_400
QUIET = 60.0
"""Seconds of nothing after which a problem begins anew."""


class Size(NamedTuple):
    """How large a fleet is, and for how long it is simulated."""

    nodes: int
    rate: int
    """Records of a node in a second."""
    seconds: int
    history: int
    """Seconds of the day before, without what is new today."""

    @property
    def records(self) -> int:
        """All of them."""
        return self.nodes * self.rate * (self.seconds + self.history)


class Simulation:
    """The records of a fleet, and what is true of them. The same arguments give the same ones."""

    def __init__(self, size: Size, begin: int, encode: str = "ecs", seed: int = 1) -> None:
        """`begin` is in seconds since the epoch, a whole minute; `encode` is native or ecs."""
        self.size, self.begin = size, begin
        self._encode, self._seed = encode, seed
        self._problems = catalogue(size.nodes, size.seconds, seed)
        until = begin + -(-size.seconds // MINUTE) * MINUTE
        self.truth = Truth(begin + warm_up(size.seconds), until, QUIET)

    def events(self) -> Iterator[Event]:
        """All records, second by second, and in each second node by node; `truth` counts them."""
        yesterday = [
            dataclasses.replace(problem, starts=dict.fromkeys(problem.starts, 0.0))
            for problem in self._problems
            if problem.in_history
        ]
        for begin, problems, seconds in (
            (self.begin - DAY, yesterday, self.size.history),
            (self.begin, list(self._problems), self.size.seconds),
        ):
            nodes = [
                Node(number, problems, self._encode, begin, self._seed)
                for number in range(self.size.nodes)
            ]
            for second in range(seconds):
                for node in nodes:
                    for event in node.second(second, self.size.rate):
                        self.truth.take(event)
                        yield event
