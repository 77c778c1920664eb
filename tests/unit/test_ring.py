"""The last drops of a source: how many are kept, which give way, and what is kept of each."""

from __future__ import annotations

import time

from frames import ARP, IPV4, arp, ethernet, ipv4, syn, udp
from record_drops import place

from ryu_droplog.config.settings import RingBounds
from ryu_droplog.model.drop import Drop
from ryu_droplog.packet.ethernet import decode
from ryu_droplog.processing.ring import METADATA, OVERHEAD, SHARE, Ring, room_of

PLACE = place()


def datagram(number: int) -> Drop:
    """One to a port of its own."""
    packet = ipv4("10.0.0.1", "10.0.0.2", 17, udp(1, number))
    return decode(ethernet(IPV4, packet), float(number), PLACE, b"")


def request(number: int) -> Drop:
    """An ARP request for an address of its own."""
    return decode(ethernet(ARP, arp("10.0.0.1", f"10.1.0.{number}")), 0.0, PLACE, b"")


def test_the_last_ones_are_kept_in_their_order() -> None:
    ring = Ring(RingBounds(drops=100))
    for first in range(0, 350, 7):
        ring.put([datagram(number) for number in range(first, first + 7)])
    assert list(range(250, 350)) == [entry.time for entry in ring.entries()]
    assert (350, list(range(251, 351))) == (ring.sequence, [e.sequence for e in ring.entries()])
    found, lost = ring.after(345)
    assert ([346, 347, 348, 349, 350], 0) == ([entry.sequence for entry in found], lost)
    assert 150 == ring.after(100)[1]
    assert ([], 0) == ring.after(350)


def test_a_flood_of_one_kind_has_a_quarter_and_leaves_the_rest_in_place() -> None:
    ring = Ring(RingBounds(drops=400))
    ring.put([request(number) for number in range(1, 200)])
    for _ in range(500):
        ring.put([decode(syn(), 0.0, PLACE, b"")] * 20)
    kinds = [entry.drop.ethertype for entry in ring.entries()]
    assert 199 == kinds.count(ARP)
    assert 400 // SHARE // 2 <= kinds.count(IPV4) <= 400 // SHARE
    ring.put([datagram(number) for number in range(400)])
    assert list(range(400)) == [entry.time for entry in ring.entries()]


def test_what_is_kept_makes_the_same_drop_again() -> None:
    drop = decode(syn(), 5.5, PLACE, b"\x80\0\0\4\0\0\0\1")
    drop.received, drop.repeated, drop.first_time, drop.summarised = time.monotonic(), 7, 5.0, True
    ring = Ring(RingBounds())
    ring.put([drop])
    [entry] = ring.entries()
    assert drop == entry.drop
    assert len(drop.frame) == entry.length


def test_long_frames_and_notes_are_cut_and_sinks_keep_the_whole() -> None:
    frame = syn().ljust(1400, b"x")
    drop = decode(frame, 0.0, PLACE, bytes(2 * METADATA))
    ring = Ring(RingBounds(snaplen=128))
    ring.put([drop])
    [entry] = ring.entries()
    assert (1400, frame[:128], METADATA) == (entry.length, entry.frame, len(entry.metadata))
    assert (frame, 2 * METADATA) == (drop.frame, len(drop.metadata))


def test_bytes_bound_it_as_well_and_other_bounds_hold_from_the_next_drop_on() -> None:
    each = 256 + METADATA + OVERHEAD
    assert 50 == room_of(RingBounds(bytes=50 * each + 1))
    ring = Ring(RingBounds(bytes=50 * each))
    ring.put([datagram(number) for number in range(80)])
    assert 50 == len(ring.entries())
    ring.change(RingBounds(drops=20))
    ring.put([datagram(80)])
    assert list(range(61, 81)) == [entry.time for entry in ring.entries()]
