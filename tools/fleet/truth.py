"""What is true of a simulated fleet: the answers that the questions of docs/fleet have to find.

Counted from what was dropped, not from records: no key, no rounding and no query is shared with
what is checked by it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from fleet.catalogue import Problem
from fleet.node import Event

MINUTE = 60.0
AT_ONCE = 10.0
"""Seconds within which what begins on several nodes begins at once."""


class Truth:
    """Sums of a time, in seconds since the epoch, and what began in it."""

    def __init__(self, since: float, until: float, quiet: float) -> None:
        """What began is what came after nothing for more than `quiet` seconds, on its node."""
        self.since, self.until, self.quiet = since, until, quiet
        self.records = 0
        """All, those before `since` too."""
        self.packets = 0
        self._problems: Counter[Problem] = Counter()
        self._first_ever: dict[int, float] = {}
        self._last: dict[int, float] = {}
        self._run: dict[int, float] = {}
        self._node_last: dict[tuple[int, int], float] = {}
        self._begins: defaultdict[int, list[float]] = defaultdict(list)
        self._nodes: defaultdict[int, set[int]] = defaultdict(set)
        self._minutes: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
        self._sources: Counter[str] = Counter()
        self._source_nodes: defaultdict[str, set[int]] = defaultdict(set)

    def take(self, event: Event) -> None:
        """Count a record. Those of a node come in the order of their time."""
        problem, node, source, first, last, packets, _, _ = event
        number, place = problem.number, (problem.number, node)
        self.records += 1
        self.packets += packets
        if first - self._last.get(number, 0.0) > self.quiet:
            self._run[number] = first
        # The nodes' records of one second come node by node.
        self._run[number] = min(first, self._run[number])
        self._last[number] = max(last, self._last.get(number, 0.0))
        self._first_ever[number] = min(first, self._first_ever.get(number, first))
        began = first - self._node_last.get(place, 0.0) > self.quiet
        self._node_last[place] = last
        if not self.since <= last < self.until:
            return
        if began:
            self._begins[number].append(first)
        self._problems[problem] += packets
        self._nodes[number].add(node)
        self._minutes[number, int(last // MINUTE)].add(node)
        self._sources[source] += packets
        self._source_nodes[source].add(node)

    def told(self) -> dict[str, Any]:
        """All answers, as JSON can have them."""
        return {
            "records": self.records,
            "packets": self.packets,
            "since": self.since,
            "until": self.until,
            "quiet": self.quiet,
            "sources": [
                {"source": source, "packets": packets, "nodes": len(self._source_nodes[source])}
                for source, packets in sorted(
                    self._sources.items(), key=lambda item: (-item[1], item[0])
                )
            ],
            "problems": [self._problem(problem) for problem in self._problems],
        }

    def _problem(self, problem: Problem) -> dict[str, Any]:
        number = problem.number
        by_minute = [len(nodes) for (which, _), nodes in self._minutes.items() if which == number]
        at_once, moment = _most_within(sorted(self._begins[number]), AT_ONCE)
        return {
            "kind": problem.kind,
            "table": problem.table,
            "rule": problem.rule,
            "match": problem.match,
            "ethertype": problem.ethertype,
            "protocol": problem.protocol,
            "port": problem.port,
            "packets": self._problems[problem],
            "nodes": len(self._nodes[number]),
            "nodes_in_a_minute": max(by_minute),
            "first_ever": self._first_ever[number],
            "since": self._run[number],
            "last": self._last[number],
            "began_on_nodes_at_once": at_once,
            "began": moment,
        }


def _most_within(moments: list[float], seconds: float) -> tuple[int, float | None]:
    """The most moments that lie within `seconds`, and the first of those; the earliest if equal."""
    most, first, begin = 0, None, 0
    for end, moment in enumerate(moments):
        while moment - moments[begin] > seconds:
            begin += 1
        if end - begin + 1 > most:
            most, first = end - begin + 1, moments[begin]
    return most, first
