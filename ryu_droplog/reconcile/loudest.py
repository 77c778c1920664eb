"""Which loud flows of a table are to step aside: a pure function of what was seen of its drops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ryu_droplog.packet.signature import Signature
from ryu_droplog.processing.loud_flows import LoudFlow, Loudness
from ryu_droplog.processing.summaries import Sample

ENOUGH, FEWEST = 100, 8
"""Drops that have to be seen: so many, or what the meter lets through in a quarter of a second
where that is less, but never fewer than the latter."""
LEAST = 4
SHARE = 32
"""A flow is loud that was seen so often at least, and is one part in so many of the drops."""
RELIEF = 2
"""Only flows that make up one part in so many of all drops together are worth it: what others are
logged beside them is then doubled at least. Where most drops are of flows that come once each, as
in a scan, nothing steps aside."""


SCATTERED = 48
"""Signatures by MAC of one ingress port and EtherType that are seen in `LOOKS` looks, above which
none of them steps aside. Open vSwitch tells addresses and ports apart by prefixes, a few datapath
flows in all, but of MACs each that comes would get a datapath flow and an upcall of its own."""


class Choice(NamedTuple):
    """A loud flow that is to step aside."""

    flow: LoudFlow
    sample: Sample
    share: float
    """Of the table's drops, 0 to 1."""


def is_scattered(looks: Iterable[Loudness], signature: Signature) -> bool:
    """Whether a summary flow with that signature would make the switch tell many MACs apart."""
    if not signature.by_mac:
        return False
    seen = {flow.signature for look in looks for flow, _, _ in look.flows}
    kind = signature.in_port, signature.ethertype
    return sum((other.in_port, other.ethertype) == kind for other in seen) > SCATTERED


def enough(rate: int) -> int:
    """Drops that have to be seen where a meter lets `rate` packets a second through."""
    return max(FEWEST, min(ENOUGH, rate // 4))


def loudest(
    looks: Iterable[Loudness], rate: int, most: int, allowed: Callable[[LoudFlow], bool]
) -> list[Choice]:
    """At most so many loud flows that are allowed to, the loudest first; none if that is no relief.

    `looks` are what was seen of one table, `rate` is its meter's in packets a second.
    """
    total = 0
    seen: Counter[LoudFlow] = Counter()
    samples: dict[LoudFlow, Sample] = {}
    for look in looks:
        total += look.total
        for flow, least, sample in look.flows:
            seen[flow] += least
            samples[flow] = sample
    if total < enough(rate):
        return []
    chosen = [
        Choice(flow, samples[flow], count / total)
        for flow, count in seen.most_common()
        if count >= LEAST and count * SHARE >= total and allowed(flow)
    ][: max(most, 0)]
    return chosen if sum(choice.share for choice in chosen) * RELIEF >= 1 else []
