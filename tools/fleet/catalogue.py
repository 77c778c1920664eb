"""What is dropped in the fleet: each problem, on which nodes, and from when on.

All of it follows from a seed. Times are seconds from the begin of the simulation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from ryu_droplog.pipelines.loader import load_pipelines

Kind = Literal["old", "gradual", "few", "at once", "again at once"]
"""How a problem begins: `old` and `again at once` were there the day before, too; `gradual` comes
to one node after another, `few` at once to ten nodes at most, the last two at once to more."""
AT_ONCE_SECONDS = 8.0
"""Within which a problem comes to all of its nodes, where it comes at once."""
FEW_NODES = 10
"""The most nodes of a problem of the kind `few`."""
BRIDGE = "br-int"
ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD
ICMP, TCP, UDP = 1, 6, 17

# How many problems there are of each kind.
_KINDS: Mapping[Kind, int] = {"old": 24, "gradual": 6, "few": 6, "at once": 8, "again at once": 4}
MINUTE = 60
SHORTEST = 90
"""Seconds of a simulation that are enough for something to begin."""
_WARM_UP = 0.2
"""Part of the time before which nothing new begins, in whole minutes."""
_LAST_BEGIN = 0.88
"""Part of the time after which nothing new begins."""
_GRADUAL_NODES_PER_WINDOW = 5
"""Nodes to which a gradual problem comes in ten seconds."""

_PIPELINES = ("neutron", "ovn", "opflex-access")
# Where things are dropped: pipeline, table, reason.
_PLACES = (
    ("neutron", 72, "MISS"),
    ("neutron", 82, "MISS"),
    ("neutron", 93, "MISS"),
    ("neutron", 24, "DENY"),
    ("ovn", 16, "DENY"),
    ("ovn", 46, "DENY"),
    ("opflex-access", 4, "MISS"),
    ("opflex-access", 6, "DENY"),
)
_PROTOCOLS = (
    (IPV4, TCP),
    (IPV4, TCP),
    (IPV4, UDP),
    (IPV6, TCP),
    (IPV6, UDP),
    (IPV4, ICMP),
    (ARP, 0),
)


@dataclass(frozen=True, eq=False)
class Problem:
    """What many nodes drop for the same reason; told apart by table, rule, protocol and port."""

    number: int
    kind: Kind
    pipeline: str
    table_id: int
    table: str
    cause: str
    reason: str
    rule: str
    """Name of the rule; empty where nothing matched."""
    priority: int
    match: str
    ethertype: int
    protocol: int
    """IP protocol number; 0 without."""
    port: int
    """Destination port; 0 without."""
    weight: float
    """How often it is dropped, compared with others."""
    source: str
    """The one sender of all nodes, as of a scan; empty: each node has its own."""
    starts: Mapping[int, float] = field(repr=False)
    """When it comes to each node that has it; 0 for those of `old`."""

    @property
    def in_history(self) -> bool:
        """Whether it was there the day before."""
        return self.kind in ("old", "again at once")


def catalogue(nodes: int, seconds: float, seed: int) -> tuple[Problem, ...]:
    """All problems of a fleet; the same arguments give the same ones."""
    random = Random(seed)
    kinds = [kind for kind, count in _KINDS.items() for _ in range(count)]
    return tuple(
        _problem(number, kind, nodes, seconds, random) for number, kind in enumerate(kinds)
    )


def warm_up(seconds: float) -> int:
    """Seconds, in whole minutes, before which nothing new begins."""
    return MINUTE * math.ceil(seconds * _WARM_UP / MINUTE)


def pipeline_of(node: int) -> str:
    """The pipeline of a node's bridge."""
    return _PIPELINES[node % len(_PIPELINES)]


def _problem(number: int, kind: Kind, nodes: int, seconds: float, random: Random) -> Problem:
    pipeline, table_id, reason = _PLACES[number % len(_PLACES)]
    table = load_pipelines(None)[pipeline].tables[table_id]
    ethertype, protocol = _PROTOCOLS[number % len(_PROTOCOLS)]
    port = 1000 + 13 * number if protocol in (TCP, UDP) else 0
    priority, match, rule = 0, "", ""
    if reason == "DENY":
        priority, rule = 1001 + number, f"deny-{number}"
        match = f"ip,nw_proto={protocol},tp_dst={port}" if port else f"dl_type={ethertype:#06x}"
    pool = [node for node in range(nodes) if pipeline_of(node) == pipeline]
    if number < len(_PLACES):
        chosen = tuple(pool)  # so that each node drops something
    else:
        width = min(len(pool), _width(kind, len(pool), random))
        chosen = tuple(sorted(random.sample(pool, width)))
    return Problem(
        number=number,
        kind=kind,
        pipeline=pipeline,
        table_id=table_id,
        table=table.name,
        cause=table.cause,
        reason=reason,
        rule=rule,
        priority=priority,
        match=match,
        ethertype=ethertype,
        protocol=protocol,
        port=port,
        weight=random.choice((1.0, 1.0, 2.0, 4.0, 8.0)),
        source=f"198.51.100.{number}" if number % 5 == 0 and ethertype == IPV4 else "",
        starts=_starts(kind, chosen, seconds, random),
    )


def _width(kind: Kind, nodes: int, random: Random) -> int:
    """On how many of the pipeline's nodes a problem is."""
    if kind == "few":
        return random.randint(2, FEW_NODES)
    if kind == "old":
        return max(1, random.randint(nodes // 10, nodes))
    return random.randint(FEW_NODES + 1, max(FEW_NODES + 1, nodes))


def _starts(kind: Kind, nodes: tuple[int, ...], seconds: float, random: Random) -> dict[int, float]:
    if kind == "old":
        return dict.fromkeys(nodes, 0.0)
    settled = warm_up(seconds)
    first = random.uniform(settled, max(settled, seconds * _LAST_BEGIN))
    if kind != "gradual":
        return {node: first + random.uniform(0, AT_ONCE_SECONDS) for node in nodes}
    # One node after another, so slowly that nobody could say that it began at once.
    shuffled, pace = random.sample(nodes, len(nodes)), 10 / _GRADUAL_NODES_PER_WINDOW
    return {node: settled + place * pace for place, node in enumerate(shuffled)}
