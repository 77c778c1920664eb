"""What filters cost, beside the other stages of a drop.

All packets are looked at and none fits a filter, which costs most: what a filter leaves out saves
the rest of the way instead.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from random import Random

from benchmarks import frames
from benchmarks.chain import (
    CHAIN_DROPS,
    GENERATION,
    PIPELINE,
    PREFIX,
    ROUNDS,
    TABLE,
    ChainWay,
    batches,
    microseconds,
    packet_ins,
)
from benchmarks.report import Figure, Report, Section, yardstick
from ryu_droplog.config.filter_spec import DEFAULTS, FilterSpec, parse_filter
from ryu_droplog.model import cookie
from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.model.drop import Drop
from ryu_droplog.packet import ethernet
from ryu_droplog.packet import packet_in as packetin
from ryu_droplog.pipelines.loader import load_pipelines
from ryu_droplog.processing.filter import FilterSet
from ryu_droplog.sources.packet_in import PacketInReader

FILTERS = 100
SEED = 5
STRANGERS = "random"
_FITTING = 0.2
"""Share of the random packets that may fit one of the random filters, and are not sent."""


def run(report: Report, quick: bool) -> None:
    """Measure packets of few flows, and packets of which hardly two have an address in common."""
    section = report.section("prune", "filters: checking packets that match none")
    kinds = ["mixed", STRANGERS] if quick else ["TCP", "UDP", "IPv6 TCP", "mixed", STRANGERS]
    filters = varied(FILTERS, SEED)
    for kind in kinds:
        _measure(section, kind, _messages(kind, filters), filters)
    section.note(
        f"defaults: the default rules; {FILTERS} filters: those and {FILTERS} varied ones; a drop "
        "more than without, in neighbouring rounds; ratio: the chain with them to the chain without"
    )


def varied(count: int, seed: int) -> list[FilterSpec]:
    """So many filters of many shapes: prefixes of many lengths, masks of MACs, protocols, ports."""
    random = Random(seed)

    def ipv4() -> str:
        return f"{IPv4Address(random.randbytes(4))}/{random.randint(12, 32)}"

    def ipv6() -> str:
        return f"{IPv6Address(random.randbytes(16))}/{random.randint(12, 128)}"

    def mac() -> str:
        # Of a vendor, of a device, or of some bits here and there.
        masks = b"\xff\xff\xff\0\0\0", b"\xff" * 6, random.randbytes(6)
        return f"{random.randbytes(6).hex(':')}/{random.choice(masks).hex(':')}"

    def port() -> int:
        return random.randint(1, 65_535)

    filters = []
    for number in range(count):
        shapes: list[dict[str, object]] = [
            {"sip": ipv4()},
            {"sip": ipv4(), "dip": ipv4()},
            {"dip": ipv4(), "ip_proto": "tcp", "dport": port()},
            {"dip": ipv6()},
            {"sip": ipv6(), "dip": ipv6(), "ip_proto": "udp"},
            {"smac": mac(), "dmac": mac()},
            {"smac": mac(), "sip": ipv4()},
            {"ip_proto": random.randint(0, 255), "dmac": mac()},
            {"ip_proto": "udp", "sport": port(), "dport": port()},
            {"dport": port()},
        ]
        filters.append(parse_filter({"name": f"user {number}", **shapes[number % len(shapes)]}))
    return filters


class Decoding:
    """The way of a packet up to where it is filtered or kept."""

    def __init__(self) -> None:
        pipeline = load_pipelines(None)[PIPELINE]
        self._reader = PacketInReader("br-bench", PREFIX, pipeline, GENERATION, SourceBooks())

    def kept(self, batch: list[bytes], prune: FilterSet | None) -> list[Drop]:
        """What goes on its way, as the chain would find it."""
        find_origin = self._reader.location
        drops = []
        for message in batch:
            packet_in = packetin.parse(message)
            location = find_origin(packet_in)
            if location is None:
                continue
            drop = ethernet.decode(packet_in.frame, 0.0, location, packet_in.metadata)
            if prune is None or prune.match(drop) is None:
                drops.append(drop)
        return drops

    def microseconds(self, work: list[list[bytes]], prune: FilterSet | None) -> float:
        """Microseconds a drop. Raises RuntimeError when one was filtered."""
        begin = time.perf_counter()
        kept = sum(len(self.kept(batch, prune)) for batch in work)
        spent = time.perf_counter() - begin
        total = sum(map(len, work))
        if kept != total:
            raise RuntimeError(f"{total - kept} of {total} drops were filtered, expected none")
        return spent / total * 1e6


def _messages(kind: str, filters: Sequence[FilterSpec]) -> list[bytes]:
    """PacketIns of a kind that fit none of the filters."""
    if kind != STRANGERS:
        return packet_ins(kind)
    ours = cookie.Cookie(True, GENERATION, TABLE).pack()
    messages = [
        frames.packet_in(one, ours, TABLE) for one in frames.distinct(CHAIN_DROPS, SEED + 1)
    ]
    decoding, prune = Decoding(), FilterSet([*DEFAULTS, *filters])
    unfit = [message for message in messages if decoding.kept([message], prune)]
    if len(unfit) < len(messages) * (1 - _FITTING):
        raise RuntimeError(f"only {len(unfit)} of {len(messages)} random packets fit no filter")
    return unfit


def _measure(
    section: Section, kind: str, messages: list[bytes], filters: Sequence[FilterSpec]
) -> None:
    work = batches(messages, CHAIN_DROPS)
    decoding = Decoding()
    prunes = FilterSet(DEFAULTS), FilterSet([*DEFAULTS, *filters])
    chain: list[float] = []
    speed: list[float] = []
    added: tuple[list[float], list[float]] = [], []
    microseconds(ChainWay("/dev/null"), work)  # warm: caches of addresses
    for _ in range(ROUNDS):
        speed.append(yardstick())
        chain.append(microseconds(ChainWay("/dev/null"), work))
        without = decoding.microseconds(work, None)
        for prune, costs in zip(prunes, added, strict=True):
            costs.append(decoding.microseconds(work, prune) - without)
    ratios = [
        Figure.of([(a + b) / a for a, b in zip(chain, costs, strict=True)], "times")
        for costs in added
    ]
    section.add(
        kind,
        chain=Figure.of(chain, "µs"),
        defaults=Figure.of(added[0], "µs"),
        hundred_filters=Figure.of(added[1], "µs"),
        defaults_ratio=ratios[0],
        hundred_filters_ratio=ratios[1],
        yardstick=Figure.of(speed, "ms"),
    )
