"""The last drops of a source, for those who ask what has just happened.

The chain puts drops in and never waits; records are made of them only when an observer asks. One
signature has at most a quarter of the room, so that a flood of one kind leaves the rest in place.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Hashable, Sequence
from operator import attrgetter

from msgspec import Struct

from ryu_droplog.config.settings import RingBounds
from ryu_droplog.model.drop import Arp, Drop, IPv4, IPv6, Tcp, Udp
from ryu_droplog.model.location import Location
from ryu_droplog.packet.ethernet import decode

SHARE = 4
"""One signature has one part in so many of the ring's room; when it has that, it is cut to half of
it, its newest, because looking for its oldest is not cheap."""
METADATA = 512
"""Bytes of what the switch knew of a packet that are kept; no switch is known to send more."""
OVERHEAD = 1_000
"""Bytes that a drop takes beside its frame and its metadata, rounded up."""


_sequence = attrgetter("sequence")


class Entry(Struct, gc=False):
    """A drop in the ring: what it was made of, which takes less to keep than what was made."""

    sequence: int
    """Which drop of its ring it is, from 1."""
    signature: int
    """Stands for what drops of one kind have in common: a hash of it."""
    location: Location
    time: float
    received: float
    """As in the drop, as `time`."""
    frame: bytes
    """The first `snaplen` bytes of its frame."""
    metadata: bytes
    length: int
    """Bytes of its frame as it arrived."""
    repeated: int
    first_time: float
    summarised: bool

    @property
    def drop(self) -> Drop:
        """The drop, with as much of its headers as the kept bytes have."""
        drop = decode(self.frame, self.time, self.location, self.metadata)
        drop.received, drop.repeated = self.received, self.repeated
        drop.first_time, drop.summarised = self.first_time, self.summarised
        return drop


class Ring:
    """The last drops of one source. One thread puts, any may read; there is no lock.

    What a reader takes it takes by one call of the interpreter's own code, which no other thread
    interrupts but in the rarest case.
    """

    def __init__(self, bounds: RingBounds) -> None:
        self._entries: deque[Entry] = deque()
        self._numbers: dict[int, int] = {}
        """How many are there, by their signature."""
        self._bounds = bounds
        self.sequence = 0
        """How many drops were ever put in."""

    def change(self, bounds: RingBounds) -> None:
        """Keep to other bounds from the next drop on; from any thread."""
        self._bounds = bounds

    def put(self, drops: Sequence[Drop]) -> None:
        """Keep these, in place of the oldest."""
        room, snaplen = room_of(self._bounds), self._bounds.snaplen
        most = room // SHARE
        numbers, append = self._numbers, self._entries.append
        number_of = numbers.get
        sequence = self.sequence
        for drop in drops:
            location, l3, frame, metadata = drop.location, drop.l3, drop.frame, drop.metadata
            kind = l3.__class__
            if kind is IPv4 or kind is IPv6:
                l4 = drop.l4
                layer = l4.__class__
                port = l4.dst_port if layer is Tcp or layer is Udp else -1  # type: ignore[union-attr]
                signature = hash((location, l3.src, l3.dst, drop.protocol, port))  # type: ignore[union-attr]
            else:
                signature = hash(_signature_of_others(drop))
            length = len(frame)
            if length > snaplen:
                frame = frame[:snaplen]
            if len(metadata) > METADATA:
                metadata = metadata[:METADATA]
            sequence += 1
            append(
                Entry(
                    sequence,
                    signature,
                    location,
                    drop.time,
                    drop.received,
                    frame,
                    metadata,
                    length,
                    drop.repeated,
                    drop.first_time,
                    drop.summarised,
                )
            )
            numbers[signature] = number = number_of(signature, 0) + 1
            if number > most:
                self._cut(signature, number - most // 2)
                append = self._entries.append
        self.sequence = sequence
        while len(self._entries) > room:
            signature = self._entries.popleft().signature
            number = numbers[signature] - 1
            if number:
                numbers[signature] = number
            else:
                del numbers[signature]

    def entries(self) -> list[Entry]:
        """All that is there, the oldest first."""
        while True:
            try:
                return list(self._entries)
            except RuntimeError:  # the collector of garbage has let the other thread in
                continue

    def after(self, sequence: int) -> tuple[list[Entry], int]:
        """What came after that one, the oldest first, and how many have given way already."""
        newest = self.sequence
        entries = self.entries()
        first = bisect_right(entries, sequence, key=_sequence)
        found = entries[first : bisect_right(entries, newest, key=_sequence)]
        return found, newest - sequence - len(found)

    def _cut(self, signature: int, too_many: int) -> None:
        """Let so many of a signature give way, its oldest."""
        kept: deque[Entry] = deque()
        for entry in self._entries:
            if too_many and entry.signature == signature:
                too_many -= 1
            else:
                kept.append(entry)
        self._numbers[signature] -= len(self._entries) - len(kept)
        self._entries = kept


def room_of(bounds: RingBounds) -> int:
    """How many drops a ring has room for, by both its bounds."""
    each = bounds.snaplen + METADATA + OVERHEAD
    return max(min(bounds.drops, bounds.bytes // each), 2 * SHARE)


def _signature_of_others(drop: Drop) -> Hashable:
    """What stands for a record's signature here, as that of IP: place, ends, service."""
    l3 = drop.l3
    if isinstance(l3, Arp):
        return drop.location, l3.sender_ip, l3.target_ip
    return drop.location, drop.smac, drop.dmac, drop.ethertype
