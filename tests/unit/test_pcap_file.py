"""Captures of every kind, whole, cut and hostile: what is good comes, then CaptureError."""

from __future__ import annotations

import gzip
import io
import struct
import tracemalloc
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest
from captures import ETHERNET, NOW, block, enhanced, interface, option, pcap, section, simple
from scapy.layers.l2 import Ether
from scapy.utils import PcapNgWriter, RawPcapWriter

from ryu_droplog.sources import pcap_file
from ryu_droplog.sources.pcap_file import CaptureError, Packet, packets

ONE, TWO, THREE = b"one!", b"2", b"threethree"
MICROSECONDS = NOW * 1_000_000 + 845_663
TIME = 1708415956.845663
ORDERS = pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])


def read(data: bytes) -> tuple[list[Packet], str]:
    """The packets of a capture, and the error that ends it; empty for none."""
    found: list[Packet] = []
    try:
        for packet in packets(io.BytesIO(data)):
            found.append(packet)
    except CaptureError as error:
        return found, str(error)
    return found, ""


def data_of(found: Iterable[Packet]) -> list[bytes]:
    return [packet.data for packet in found]


# pcap


@ORDERS
@pytest.mark.parametrize(("nano", "part"), [(False, 845_663), (True, 845_663_000)])
def test_pcap_gives_packets_with_time_and_link_type(order: str, nano: bool, part: int) -> None:
    found, error = read(pcap(ONE, TWO, order=order, nano=nano, link_type=276, part=part))
    expected = [(ONE, 276, pytest.approx(TIME)), (TWO, 276, pytest.approx(TIME + 1))]
    assert ("", expected) == (error, [(p.data, p.link_type, p.time) for p in found])
    assert [845_663] * 2 == [round(p.time * 1_000_000) % 1_000_000 for p in found]


def test_link_type_is_without_the_length_of_the_fcs() -> None:
    found, _ = read(pcap(ONE, link_type=4 << 28 | 1 << 26 | ETHERNET))
    assert [ETHERNET] == [packet.link_type for packet in found]


def test_packet_of_no_bytes_is_a_packet() -> None:
    assert ([b"", TWO], "") == (data_of(read(pcap(b"", TWO))[0]), read(pcap(b"", TWO))[1])


@ORDERS
def test_pcap_that_is_cut_anywhere_gives_what_is_whole(order: str) -> None:
    records = (ONE, TWO, THREE)
    data = pcap(*records, order=order)
    ends = [len(pcap(*records[:count])) for count in range(4)]
    for size in range(1, len(data) + 1):
        found, error = read(data[:size])
        count = sum(size >= end for end in ends[1:])
        assert (size, list(records[:count])) == (size, data_of(found))
        assert (size, size not in ends) == (size, bool(error))


def test_record_that_claims_too_much_is_damage() -> None:
    for claimed in (pcap_file.LARGEST + 1, 0x7FFFFFFF, 0xFFFFFFFF):
        data = pcap(ONE) + struct.pack("<IIII", NOW, 0, claimed, claimed) + bytes(100)
        found, error = read(data)
        assert [ONE] == data_of(found)
        assert f"a block of {claimed} bytes at byte 60 cannot be right" == error


def test_pcap_written_by_scapy_is_read(tmp_path: Path) -> None:
    path = str(tmp_path / "capture")
    with RawPcapWriter(path, linktype=101, endianness=">", nano=True) as writer:
        writer.write_header(None)
        writer.write_packet(ONE, sec=NOW, usec=845_663_000)
    assert ([Packet(pytest.approx(TIME), 101, ONE)], "") == read(Path(path).read_bytes())


# pcapng


def pcapng(order: str = "<") -> tuple[list[bytes], list[bytes]]:
    """Blocks with all that occurs, and the packets that come of each block."""
    blocks = [
        (section(order), None),
        (interface(order=order), None),
        (interface(276, option(9, b"\x09", order), order=order), None),
        (enhanced(ONE, MICROSECONDS, order=order), ONE),
        (block(0x0BAD, b"unknown", order), None),
        (enhanced(TWO, MICROSECONDS * 1000, 1, order=order), TWO),
        (simple(THREE, order), THREE),
        (section(), None),
        (interface(101), None),
        (enhanced(THREE, MICROSECONDS), THREE),
    ]
    return [data for data, _ in blocks], [found or b"" for _, found in blocks]


@ORDERS
def test_pcapng_gives_packets_of_all_interfaces_and_sections(order: str) -> None:
    found, error = read(b"".join(pcapng(order)[0]))
    expected = [(ONE, 1, TIME), (TWO, 276, TIME), (THREE, 1, 0.0), (THREE, 101, TIME)]
    assert "" == error
    assert expected == [(p.data, p.link_type, round(p.time, 6)) for p in found]


@ORDERS
def test_pcapng_that_is_cut_anywhere_gives_what_is_whole(order: str) -> None:
    blocks, of_blocks = pcapng(order)
    data = b"".join(blocks)
    ends = [len(b"".join(blocks[:count])) for count in range(1, len(blocks) + 1)]
    for size in range(1, len(data) + 1):
        found, error = read(data[:size])
        whole = [p for p, end in zip(of_blocks, ends, strict=True) if p and size >= end]
        assert (size, whole) == (size, data_of(found))
        assert (size, size not in ends) == (size, bool(error))


@pytest.mark.parametrize(
    ("resolution", "units"),
    [
        (0, NOW),
        (3, NOW * 1000 + 846),
        (6, MICROSECONDS),
        (9, MICROSECONDS * 1000),
        (0x80, NOW),
        (0x80 | 10, round(TIME * 1024)),
        (0x80 | 20, round(TIME * 2**20)),
    ],
)
def test_time_is_in_the_resolution_of_the_interface(resolution: int, units: int) -> None:
    of_interface = interface(1, option(9, bytes([resolution])))
    [found], error = read(section() + of_interface + enhanced(ONE, units))
    expected = units / (2 ** (resolution & 127) if resolution & 128 else 10**resolution)
    assert ("", pytest.approx(expected, abs=1e-6)) == (error, found.time)


@ORDERS
@pytest.mark.parametrize("offset", [3600, -3600])
def test_time_has_the_offset_of_the_interface(order: str, offset: int) -> None:
    of_interface = interface(1, option(14, struct.pack(f"{order}q", offset), order), order=order)
    data = section(order) + of_interface + enhanced(ONE, MICROSECONDS, order=order)
    assert [round(TIME + offset, 6)] == [round(p.time, 6) for p in read(data)[0]]


@pytest.mark.parametrize(
    ("resolution", "offset", "units"),
    [(0, 0, 2**64 - 1), (6, 2**63 - 1, 0), (6, -(2**63), 0), (6, -1, 5), (0, 0, 253_370_764_800)],
)
def test_time_that_cannot_be_is_none(resolution: int, offset: int, units: int) -> None:
    options = option(9, bytes([resolution])), option(14, struct.pack("<q", offset))
    data = section() + interface(1, *options) + enhanced(ONE, units)
    assert ([Packet(0.0, 1, ONE)], "") == read(data)


def test_simple_packet_is_as_long_as_the_snap_length() -> None:
    data = section() + interface(snaplen=6) + simple(THREE[:6], length=len(THREE)) + simple(ONE)
    assert ([Packet(0.0, 1, THREE[:6], True), Packet(0.0, 1, ONE)], "") == read(data)


def test_obsolete_packet_block_is_read() -> None:
    old = block(2, struct.pack("<HHIIII", 0, 0, 0, 7, len(ONE), len(ONE)) + ONE)
    found, error = read(section() + interface() + old)
    assert ([ONE], "") == (data_of(found), error)


def test_pcapng_written_by_scapy_is_read(tmp_path: Path) -> None:
    path = str(tmp_path / "capture")
    with PcapNgWriter(path) as writer:
        frame = Ether(ONE * 5)
        frame.time = TIME
        writer.write(frame)
    assert ([Packet(pytest.approx(TIME), 1, ONE * 5)], "") == read(Path(path).read_bytes())


# The snap length


@ORDERS
def test_packet_of_which_not_all_was_captured_is_cut(order: str) -> None:
    whole, snapped = b"0123456789", b"0123"
    of_pcap = pcap(snapped, whole, order=order, lengths=(10, 10))
    old = struct.pack(f"{order}HHIIII", 0, 0, 0, 7, len(snapped), 10) + snapped
    of_pcapng = [
        section(order),
        interface(order=order),
        enhanced(snapped, order=order, length=10),
        enhanced(whole, order=order),
        block(2, old, order),
    ]
    cut = [packet.cut for data in (of_pcap, b"".join(of_pcapng)) for packet in read(data)[0]]
    assert [True, False, True, False, True] == cut


# gzip


@ORDERS
@pytest.mark.parametrize("form", ["pcap", "pcapng"])
def test_capture_compressed_by_gzip_is_read_as_it_is(order: str, form: str) -> None:
    data = pcap(ONE, TWO, THREE, order=order) if form == "pcap" else b"".join(pcapng(order)[0])
    middle = len(data) // 2
    two = gzip.compress(data[:middle]) + gzip.compress(data[middle:])
    assert read(data) == read(gzip.compress(data)) == read(two)
    assert "" == read(data)[1]


def test_gzip_that_is_cut_anywhere_gives_what_is_whole_and_an_error() -> None:
    """Stored without compression, so that it is known what is there."""
    records = [bytes([number]) * 3000 for number in range(20)]
    whole = gzip.compress(pcap(*records), compresslevel=0)
    most = 0
    for size in (*range(1, 40), *range(40, len(whole), 487), *range(len(whole) - 9, len(whole))):
        found, error = read(whole[:size])
        assert records[: len(found)] == data_of(found)
        assert len(found) >= (size - 60) // 3016 - 1, "no more than the last record is missing"
        assert error
        most = max(most, len(found))
    assert 20 == most, "only the end is missing"
    assert "it is cut: the compressed data has no end" == read(whole[:-1])[1]


def test_gzip_that_is_damaged_gives_what_was_before_and_an_error() -> None:
    whole = bytearray(gzip.compress(pcap(*[ONE * 500] * 200), compresslevel=0))
    whole[-8] ^= 1  # its checksum
    found, error = read(bytes(whole))
    assert 200 == len(found)
    assert error.startswith("what gzip has compressed is damaged: CRC check failed ")
    found, error = read(gzip.compress(pcap(ONE)) + b"rubbish")
    assert [ONE] == data_of(found)
    assert error.startswith("what gzip has compressed is damaged: Not a gzipped file ")


@pytest.mark.parametrize("kind", ["zeros", "one record", "many records"])
def test_gzip_of_very_much_takes_no_memory(kind: str) -> None:
    """Up to 200 MB, of which 200 kB are left."""
    pack, parts = zlib.compressobj(9, wbits=31), []
    million = bytes(1_000_000)
    if kind == "zeros":
        parts.append(pack.compress(pcap()))
    elif kind == "one record":
        parts.append(pack.compress(pcap() + struct.pack("<IIII", 0, 0, 200_000_000, 200_000_000)))
    else:
        parts.append(pack.compress(pcap()))
        million = (struct.pack("<IIII", 0, 0, 999_984, 999_984) + bytes(999_984))[:1_000_000]
    parts += [pack.compress(million) for _ in range(200 if kind != "zeros" else 5)]
    data = io.BytesIO(b"".join((*parts, pack.flush())))
    count = 0
    tracemalloc.start()
    try:
        with suppress(CaptureError):
            for packet in packets(data):
                count += len(packet.data) > 0
        assert 6_000_000 > tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (200 if kind == "many records" else 0) == count


# What is hostile


HEAD = section() + interface()
GOOD = enhanced(ONE)


@pytest.mark.parametrize(
    "bad",
    [
        struct.pack("<II", 6, 0) + bytes(40),
        struct.pack("<II", 6, 11) + bytes(40),
        struct.pack("<II", 6, 0xFFFFFFFF) + bytes(40),
        struct.pack("<II", 6, pcap_file.LARGEST + 13) + bytes(40),
        GOOD[:-4] + struct.pack("<I", len(GOOD) + 4),
        enhanced(ONE, interface=7),
        block(6, struct.pack("<IIIII", 0, 0, 0, 400, 400)),
        block(6, struct.pack("<IIIII", 0, 0, 0, 400, 400) + ONE),
        block(6, struct.pack("<IIIII", 0, 0, 0, 0xFFFFFFFF, 4) + ONE),
        block(6, b""),
        block(3, struct.pack("<I", 400)),
        block(1, b""),
        block(0x0A0D0D0A, b"\x01\x02\x03\x04" + bytes(12)),
        block(0, bytes(4)),
        section() + simple(ONE),
        interface(1, option(9, b"\x06\x06")) + enhanced(ONE, interface=1),
        interface(1, struct.pack("<HH", 9, 0xFFFF)),
    ],
)
def test_block_that_lies_is_damage_and_what_was_before_is_good(bad: bytes) -> None:
    found, error = read(HEAD + GOOD + bad + GOOD * 3)
    assert [ONE] == data_of(found)
    assert error


def test_interfaces_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcap_file, "INTERFACES", 3)
    found, error = read(section() + interface() * 3 + GOOD + interface() + GOOD)
    assert ([ONE], "it describes more than 3 interfaces") == (data_of(found), error)


def test_statistics_of_interfaces_take_no_memory() -> None:
    def statistics(number: int) -> bytes:
        return block(5, struct.pack("<III", number, 0, 0))

    count = 2000
    data = io.BytesIO(HEAD + b"".join(map(statistics, range(count))) + GOOD)
    tracemalloc.start()
    try:
        assert [ONE] == data_of(packets(data))
        assert 1_000_000 > tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "it is empty; expected pcap or pcapng"),
        (b"\xd4", "it begins with d4; expected pcap or pcapng"),
        (b"\xd4\xc3\xb2", "it begins with d4c3b2; expected pcap or pcapng"),
        (b"\x7fELF" + bytes(100), "it begins with 7f454c46; expected pcap or pcapng"),
        (b"snoop\0\0\0", "it begins with 736e6f6f; expected pcap or pcapng"),
        (b"\x28\xb5\x2f\xfd" + bytes(9), "it begins with 28b52ffd; expected pcap or pcapng"),
        (gzip.compress(b"", mtime=0), "it is empty; expected pcap or pcapng"),
        (gzip.compress(b"text", mtime=0), "it begins with 74657874; expected pcap or pcapng"),
        (
            gzip.compress(gzip.compress(pcap(ONE), mtime=0), mtime=0),
            "it begins with 1f8b0800; expected pcap or pcapng",
        ),
    ],
)
def test_other_file_is_an_error_that_says_what_it_begins_with(data: bytes, expected: str) -> None:
    assert ([], expected) == read(data)


def test_capture_without_packets_has_none() -> None:
    assert ([], "") == read(pcap())
    assert ([], "") == read(section())
