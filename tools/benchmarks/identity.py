"""What it costs to say whose a packet was, beside the chain: processor time a drop.

The chain notes when a packet was received, and a sink whose format has names asks for each drop.
So the same drops are asked for here, of a host with as many ports as a large one has.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Iterable, Sequence

from benchmarks import frames
from benchmarks.chain import (
    CHAIN_DROPS,
    ROUNDS,
    TABLE,
    batches,
    lines_to_nowhere,
    packet_ins,
    processor_seconds,
)
from benchmarks.report import Figure, Report, Section
from ryu_droplog.identity.identities import Identities
from ryu_droplog.identity.knowledge import Knowledge
from ryu_droplog.identity.statement import Statement
from ryu_droplog.model.drop import Drop
from ryu_droplog.model.location import Location
from ryu_droplog.packet.ethernet import decode
from ryu_droplog.records.bridges import BridgeDirectory

PORTS = 1_000
BRIDGE = "br-bench"
NEW = "every flow new"
_CHANGES = 10
"""In the rounds in which something changes, so often; what was found out is then forgotten."""


def run(report: Report, quick: bool) -> None:
    """Measure packets of some flows, the same while ports change, and flows that come once."""
    section = report.section("identity", "whose a packet was: a lookup beside the chain")
    rounds = 3 if quick else ROUNDS
    for kind in ["mixed"] if quick else ["TCP", "mixed"]:
        dropped = frames.traffic(kind, CHAIN_DROPS)
        for case, changes in ((kind, 0), (f"{kind}, {_CHANGES} changes", _CHANGES)):
            _measure(section, case, kind, dropped, changes, rounds)
    _measure(section, NEW, "TCP", frames.distinct(CHAIN_DROPS, 1), 0, rounds)
    section.note(
        f"{PORTS} ports with names, among them the packets' own; ratio: a lookup to the chain from"
        " PacketIn to a line in /dev/null, in neighbouring rounds"
    )


def ports(dropped: Iterable[Drop]) -> list[Statement]:
    """What is said of the ports of the drops' ends, and of others up to `PORTS`."""
    macs = dict.fromkeys(mac for drop in dropped for mac in (drop.smac, drop.dmac))
    own = [mac for mac in macs if mac and not mac[0] & 1][:PORTS]
    more = [b"\x02" + number.to_bytes(5, "big") for number in range(PORTS - len(own))]
    return [
        Statement(
            "ovsdb",
            bridge=BRIDGE,
            in_port=number,
            ports=(f"tap{number}",),
            macs=(mac,),
            logical_port=f"port-{number}",
            vm_id=f"server-{number}",
        )
        for number, mac in enumerate([*own, *more], 1)
    ]


def _measure(
    section: Section,
    case: str,
    kind: str,
    dropped: Sequence[bytes],
    changes: int,
    rounds: int,
) -> None:
    where = Location((BRIDGE, TABLE), BRIDGE, TABLE, "T", "MISS")
    drops = [decode(frame, 0.0, where, b"") for frame in dropped]
    work = batches(packet_ins(kind), CHAIN_DROPS)
    lookups, chains = [], []
    for number in range(rounds + 1):
        took = _lookup(drops, changes)
        chain = processor_seconds(lines_to_nowhere(), work) / CHAIN_DROPS * 1e6
        if number:  # the first round fills caches
            lookups.append(took)
            chains.append(chain)
    section.add(
        case,
        lookup=Figure.of(lookups, "µs"),
        chain=Figure.of(chains, "µs"),
        ratio=Figure.of([a / b for a, b in zip(lookups, chains, strict=True)], "times"),
    )


def _lookup(drops: Sequence[Drop], changes: int) -> float:
    """Microseconds a drop, of a program that knows the ports and has not seen the drops."""
    knowledge = Knowledge(threading)
    said: dict[Hashable, Statement] = dict(enumerate(ports(drops[:PORTS])))
    knowledge.tell("ovsdb", said)
    identify = Identities(knowledge, BridgeDirectory()).identify
    took = 0.0
    step = len(drops) // (changes + 1)
    for start in range(0, step * (changes + 1), step):
        now = time.monotonic()
        for drop in drops[start : start + step]:
            drop.received = now
        begin = time.process_time()
        for drop in drops[start : start + step]:
            identify(drop, 1)
        took += time.process_time() - begin
        said[start + len(said)] = Statement("ovsdb", bridge=BRIDGE, in_port=start + 10_000)
        knowledge.tell("ovsdb", said)
    return took / (step * (changes + 1)) * 1e6
