"""The rules by which a packet event becomes a pod's event, or does not.

They are those of the field's aci-containers-host. Pure: times are arguments.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum
from typing import NamedTuple

from ryu_droplog.k8s_events.pods import Address, Pod, PodMap
from ryu_droplog.k8s_events.stream import PacketEvent, parse_time
from ryu_droplog.text.printable import escape

PAIRS = 10_000
"""Pairs of addresses that are remembered at most; the least recently posted is forgotten."""
MAX_REASON = 128
"""Characters of an event's reason (Event in events.k8s.io/v1; core/v1 names no limit)."""
MAX_MESSAGE = 1024
"""Characters of an event's message (`note` of Event in events.k8s.io/v1)."""

POLICY = "(Policy Drop)"
SECURITY = "(Security Drop)"
NETWORKING = "(Networking Drop)"
UNSPECIFIED = "Unspecified"
_POLICY_TABLES = ("POL_TABLE",)
_SECURITY_TABLES = ("PORT_SECURITY_TABLE", "SEC_GROUP_IN_TABLE", "SEC_GROUP_OUT_TABLE")


class Discard(Enum):
    """Why a packet event becomes no pod's event."""

    PERMITTED = "permitted"
    """It tells of a packet that was let through."""
    NO_TIME = "no time"
    """Its TimeStamp cannot be understood, so it could be of any age."""
    TOO_OLD = "too old"
    NO_ADDRESS = "no address"
    """It is of no IP or ARP packet, or an address is none."""
    REPEATED = "repeated"
    """One with the same addresses was posted a short while ago."""
    NO_POD = "no pod"
    """Neither end is a running pod of this node with a network of its own."""


class PodEvent(NamedTuple):
    """What is to be posted."""

    pair: tuple[Address, Address]
    """Source and destination."""
    pod: Pod
    reason: str
    message: str
    time: float
    """When the packet was dropped, in seconds since the epoch; never in the future."""


class Rules:
    """Decides, and remembers which pairs of addresses were posted."""

    def __init__(self, max_age: float, interval: float, pairs: int = PAIRS) -> None:
        """`max_age` and `interval` in seconds."""
        self._max_age = max_age
        self._interval = interval
        self._pairs = pairs
        self._posted: OrderedDict[tuple[Address, Address], float] = OrderedDict()

    def judge(
        self, event: PacketEvent, pods: PodMap, now: float, clock: float
    ) -> PodEvent | Discard:
        """What becomes of a packet event.

        A PodEvent that is handed on to be posted is to be told to `posted`; one that is not leaves
        no trace.

        :param now: seconds since the epoch: the event's age is by the time of day, which is all
            that another process can tell
        :param clock: the same moment by a clock that is never set: it measures the interval
        """
        if is_permit(event.drop_reason):
            return Discard.PERMITTED
        time = parse_time(event.time_stamp)
        if time is None:
            return Discard.NO_TIME
        if now - time > self._max_age:
            return Discard.TOO_OLD
        # A clock that runs ahead must not get round the interval.
        time = min(time, now)
        dropped = clock - (now - time)
        source, destination = pods.at(event.source_ip), pods.at(event.destination_ip)
        if source is None or destination is None:
            return Discard.NO_ADDRESS
        pair = (source.address, destination.address)
        last = self._posted.get(pair)
        if last is not None and dropped - last <= self._interval:
            return Discard.REPEATED
        for end in (source, destination):
            if end.pod is not None and end.pod.takes_events:
                message = message_of(event.ether_type, str(source), str(destination))
                return PodEvent(pair, end.pod, reason_of(event.drop_reason), message, time)
        return Discard.NO_POD

    def posted(self, event: PodEvent, clock: float) -> None:
        """The event was handed on to be posted: its pair's interval begins.

        `clock` is when, by the clock of `judge`.
        """
        self._posted[event.pair] = clock
        self._posted.move_to_end(event.pair)
        if len(self._posted) > self._pairs:
            self._posted.popitem(last=False)

    def __len__(self) -> int:
        """Pairs that are remembered."""
        return len(self._posted)


def is_permit(drop_reason: str) -> bool:
    """Whether a drop reason tells of a packet that was let through.

    A reason is the table, then MISS, DENY or PERMIT, then perhaps the name of a policy, which may
    be any of these words itself.
    """
    verdicts = (word for word in drop_reason.split() if word in ("MISS", "DENY", "PERMIT"))
    return next(verdicts, "") == "PERMIT"


def reason_of(drop_reason: str) -> str:
    """The reason of a pod's event: the drop reason, and what kind of drop it was."""
    reason = escape(drop_reason)
    if not reason:
        return UNSPECIFIED
    suffix = NETWORKING
    if any(table in reason for table in _POLICY_TABLES):
        suffix = POLICY
    elif any(table in reason for table in _SECURITY_TABLES):
        suffix = SECURITY
    return reason[: MAX_REASON - len(suffix)] + suffix


def message_of(ether_type: str, source: str, destination: str) -> str:
    """The message of a pod's event; the ends as `namespace/name` or as addresses."""
    what = f"{escape(ether_type)} packet" if ether_type else "Packet"
    return f"{what} from {escape(source)} to {escape(destination)} was dropped"[:MAX_MESSAGE]
