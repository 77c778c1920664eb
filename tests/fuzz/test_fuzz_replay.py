"""Whatever the capture: its packets, then an end or CaptureError; every packet is counted once."""

from __future__ import annotations

import gzip
import io
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from lasting import examples
from test_fuzz_geneve import DATAGRAMS
from test_fuzz_packet import mutated

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

from captures import (
    MICROSECONDS,
    block,
    enhanced,
    interface,
    option,
    packet,
    pcap,
    section,
    simple,
)

from ryu_droplog.config import loader
from ryu_droplog.packet import geneve
from ryu_droplog.packet.encapsulated_udp import LINK_TYPES, datagram
from ryu_droplog.pipelines.loader import load_pipelines
from ryu_droplog.sources.pcap_file import LATEST, CaptureError, Packet, packets
from ryu_droplog.sources.pcap_replay import Replay

SETTINGS = loader.load(None, {})
PIPELINES = load_pipelines(None)
FRAMES = [packet(data) for data in DATAGRAMS[:6]]
OPTIONS = option(2, b"lo"), option(9, b"\x09"), option(14, bytes(8))
PCAPNG = b"".join(
    (
        section(),
        interface(),
        interface(1, *OPTIONS),
        enhanced(FRAMES[0], MICROSECONDS),
        enhanced(FRAMES[1], MICROSECONDS * 1000, 1),
        simple(FRAMES[2]),
        block(5, bytes(12)),
        block(4, bytes(4)),
        section(">"),
        interface(order=">"),
        enhanced(FRAMES[3], order=">"),
    )
)
CAPTURES = [PCAPNG, pcap(*FRAMES[:3]), pcap(*FRAMES[3:], order=">", nano=True)]
anything = st.one_of(mutated(CAPTURES), st.binary(max_size=64), st.sampled_from(CAPTURES))


def told(summary: str) -> int:
    """The sum of what became of packets, by the summary."""
    return sum(map(int, re.findall(r"[:,] (\d+) ", summary)))


@given(anything, st.sampled_from(["opflex", "extended", "json", "event"]), st.booleans())
@settings(max_examples=examples(600), deadline=None)
def test_any_capture_is_read_or_refused_and_every_packet_is_told(
    data: bytes, form: str, prune: bool
) -> None:
    play = Replay(SETTINGS, PIPELINES, form, prune=prune, live=False)
    output, before = io.TextIOWrapper(io.BytesIO()), sys.stdout
    sys.stdout = output
    try:
        play.run(packets(io.BytesIO(data)))
    except CaptureError:
        pass
    finally:
        sys.stdout = before
    lines = output.buffer.getvalue()
    assert play.written == lines.count(b"\n")
    assert lines.isascii()
    assert play.packets == told(play.summary())
    assert 12 * play.packets <= len(data)


@given(anything, st.data())
@settings(max_examples=examples(300), deadline=None)
def test_anything_compressed_and_damaged_is_read_or_refused(
    data: bytes, choice: st.DataObject
) -> None:
    """What comes is the beginning of what comes without gzip, up to the damage."""
    packed = gzip.compress(data, compresslevel=choice.draw(st.sampled_from([0, 9])))
    damaged = choice.draw(st.one_of(st.just(packed), mutated([packed])))
    count = 0
    try:
        for found in packets(io.BytesIO(damaged)):
            assert 0 <= found.time < LATEST
            count += 1
    except CaptureError:
        pass
    if damaged == packed:
        assert count == sum(1 for _ in whole_packets(data))


def whole_packets(data: bytes) -> Iterator[Packet]:
    """The packets of a capture, up to its error."""
    with suppress(CaptureError):
        yield from packets(io.BytesIO(data))


@given(st.sampled_from(DATAGRAMS), st.integers(0, 200))
@settings(max_examples=examples(300), deadline=None)
def test_snapped_datagram_is_never_longer_and_its_options_are_whole(data: bytes, size: int) -> None:
    found = geneve.without_cut(data[:size])
    if found is None:
        assert size < 8
    else:
        assert len(found) <= size
        assert geneve.header_length(found) <= len(found)


@given(anything)
@settings(max_examples=examples(600), deadline=None)
def test_any_capture_has_times_that_can_be_and_no_more_bytes_than_there_are(data: bytes) -> None:
    total = 0
    try:
        for found in packets(io.BytesIO(data)):
            assert 0 <= found.time < LATEST
            total += len(found.data)
    except CaptureError:
        pass
    assert total <= len(data)


@given(st.sampled_from(sorted(LINK_TYPES)), st.one_of(st.binary(max_size=80), mutated(FRAMES)))
@settings(max_examples=examples(1000), deadline=None)
def test_any_packet_has_a_datagram_of_its_own_bytes_or_none(link_type: int, data: bytes) -> None:
    found = datagram(link_type, data)
    assert found is None or (found.payload in data and 0 <= found.port <= 0xFFFF)


def test_seeds_are_what_they_are_meant_to_be() -> None:
    """The mutations start from captures that are read to their end."""
    assert [5 - 1, 3, 3] == [len(list(packets(io.BytesIO(data)))) for data in CAPTURES]
