"""PacketIns: whole ones are taken apart, and a length that lies is refused."""

from __future__ import annotations

import struct

import pytest

from ryu_droplog.model.errors import MalformedMessage
from ryu_droplog.packet.packet_in import DropRecord, PacketIn, drop_record, oxm_fields, parse

COOKIE = 0x4000000000000004
FRAME = bytes(range(60))
IN_PORT = bytes.fromhex("80000004 00000007")
REG0 = bytes.fromhex("00010004 0000000a")
REG1_MASKED = bytes.fromhex("00010308 00000001 000000ff")
METADATA_FIELD = bytes.fromhex("80000408 0000000000000800")
CT_LABEL = bytes.fromhex("0001f010") + bytes(range(16))


def tun_metadata(number: int, value: bytes) -> bytes:
    """NXM_NX_TUN_METADATA<number>, not masked."""
    return struct.pack("!HBB", 1, (40 + number) << 1, len(value)) + value


def experimenter(field: int, number: int, value: bytes, masked: bool = False) -> bytes:
    """A field of an experimenter's, its number counted in the length."""
    return struct.pack("!HBBI", 0xFFFF, field << 1 | masked, 4 + len(value), number) + value


def packet_in(
    metadata: bytes = IN_PORT,
    frame: bytes = FRAME,
    *,
    head: tuple[int, int] = (4, 10),
    length: int | None = None,
    match_type: int = 1,
    match_length: int | None = None,
    reason: int = 0,
    table_id: int = 4,
    total_len: int | None = None,
) -> bytes:
    """A PacketIn; lengths are right unless they are given."""
    if match_length is None:
        match_length = 4 + len(metadata)
    match = struct.pack("!HH", match_type, match_length) + metadata
    match += bytes(-len(match) % 8)
    if total_len is None:
        total_len = len(frame)
    body = struct.pack("!IHBBQ", 0xFFFFFFFF, total_len, reason, table_id, COOKIE)
    body += match + bytes(2) + frame
    if length is None:
        length = 8 + len(body)
    return struct.pack("!BBHI", *head, length, 0x12345678) + body


def test_whole_message_gives_every_field() -> None:
    message = packet_in(IN_PORT + REG0, reason=1, table_id=12)
    assert PacketIn(1, 12, COOKIE, IN_PORT + REG0, FRAME) == parse(message)


@pytest.mark.parametrize("metadata_length", range(17))
def test_match_of_any_length_is_taken_without_its_padding(metadata_length: int) -> None:
    metadata = bytes(range(1, metadata_length + 1))
    parsed = parse(packet_in(metadata))
    assert (metadata, FRAME) == (parsed.metadata, parsed.frame)


def test_message_without_frame_gives_an_empty_one() -> None:
    expected = b""
    assert expected == parse(packet_in(frame=b"")).frame


@pytest.mark.parametrize("size", [65_400, 65_492, 65_493, 65_535, 65_549])
def test_packet_in_whose_length_has_overflowed_gives_the_whole_frame(size: int) -> None:
    """openvswitch/ovs-issues#371; the frame has room for 65,535 bytes, and an Ethernet header."""
    frame = FRAME.ljust(size, b"\xee")
    length = 34 + 8 + size
    message = packet_in(frame=frame, total_len=size & 0xFFFF, length=length & 0xFFFF)
    assert frame == parse(message).frame


def test_total_len_above_the_data_gives_what_is_there() -> None:
    """A switch that sends the head of a packet alone says how long the packet was."""
    expected = FRAME
    assert expected == parse(packet_in(total_len=1500)).frame


def test_osken_reads_the_same_message_the_same_way() -> None:
    from os_ken.ofproto import ofproto_parser
    from os_ken.ofproto.ofproto_protocol import ProtocolDesc

    message = packet_in(IN_PORT + METADATA_FIELD + REG0, reason=1, table_id=93)
    theirs = ofproto_parser.msg(ProtocolDesc(4), 4, 10, len(message), 0x12345678, message)
    ours = parse(message)
    assert (theirs.reason, theirs.table_id, theirs.cookie, theirs.data) == (
        ours.reason,
        ours.table_id,
        ours.cookie,
        ours.frame,
    )
    expected = {"in_port": 7, "metadata": 0x800, "reg0": 10}
    assert expected == dict(theirs.match.items())


def test_every_cut_is_refused() -> None:
    message = packet_in()
    refused = []
    for size in range(len(message)):
        try:
            parse(message[:size])
        except MalformedMessage:
            refused.append(size)
    assert list(range(len(message))) == refused


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (b"", "packet-in has 0 bytes, expected at least 28"),
        (packet_in()[:27], "packet-in has 27 bytes, expected at least 28"),
        (
            packet_in(head=(5, 10)),
            "message has version and type 0x050a, expected 0x040a (packet-in of openflow 1.3)",
        ),
        (
            packet_in(head=(4, 11)),
            "message has version and type 0x040b, expected 0x040a (packet-in of openflow 1.3)",
        ),
        (packet_in(length=101), "packet-in says it has 101 bytes, but 102 are there"),
        (packet_in(length=103), "packet-in says it has 103 bytes, but 102 are there"),
        (packet_in(length=0), "packet-in says it has 0 bytes, but 102 are there"),
        (packet_in(match_type=0), "packet-in has a match of type 0, expected 1 (oxm)"),
        (packet_in(match_length=3), "packet-in has a match of 3 bytes, expected at least 4"),
        (
            packet_in(match_length=77),
            "packet-in has a match of 77 bytes, which does not fit into the 102 bytes of the"
            " message",
        ),
        (
            packet_in(match_length=65535),
            "packet-in has a match of 65535 bytes, which does not fit into the 102 bytes of the"
            " message",
        ),
    ],
)
def test_lying_message_is_refused_with_what_is_wrong(message: bytes, complaint: str) -> None:
    with pytest.raises(MalformedMessage) as raised:
        parse(message)
    assert complaint == str(raised.value)


def test_longest_match_that_fits_leaves_an_empty_frame() -> None:
    parsed = parse(packet_in(frame=bytes(56), match_length=72))
    expected = (68, b"")
    assert expected == (len(parsed.metadata), parsed.frame)


def test_fields_come_in_order_with_value_and_mask() -> None:
    expected = [
        (0x8000, 0, bytes.fromhex("00000007"), None),
        (1, 1, bytes.fromhex("00000001"), bytes.fromhex("000000ff")),
        (1, 120, bytes(range(16)), None),
    ]
    assert expected == list(oxm_fields(IN_PORT + REG1_MASKED + CT_LABEL))


def test_no_metadata_has_no_fields() -> None:
    expected = []
    assert expected == list(oxm_fields(b""))


def test_experimenter_field_comes_without_the_experimenters_number() -> None:
    metadata = experimenter(42, 0x4F4E4600, b"\x00\x12") + REG0
    expected = [(0xFFFF, 42, b"\x00\x12", None), (1, 0, bytes.fromhex("0000000a"), None)]
    assert expected == list(oxm_fields(metadata))


def test_masked_experimenter_field_is_split_behind_the_number() -> None:
    metadata = experimenter(42, 0x4F4E4600, b"\x00\x12\x0f\xff", masked=True)
    expected = [(0xFFFF, 42, b"\x00\x12", b"\x0f\xff")]
    assert expected == list(oxm_fields(metadata))


def test_experimenter_field_of_the_number_alone_has_no_value() -> None:
    expected = [(0xFFFF, 42, b"", None)]
    assert expected == list(oxm_fields(experimenter(42, 0x4F4E4600, b"")))


def test_experimenter_field_without_room_for_the_number_is_stepped_over() -> None:
    metadata = bytes.fromhex("ffff5403 010203") + REG0
    assert [(1, 0, bytes.fromhex("0000000a"), None)] == list(oxm_fields(metadata))


def test_mask_shorter_than_its_value_is_stepped_over() -> None:
    metadata = bytes.fromhex("00010103 010203") + REG0
    assert [(1, 0, bytes.fromhex("0000000a"), None)] == list(oxm_fields(metadata))


def test_unknown_class_is_handed_out() -> None:
    expected = [(0x7FFF, 127, b"\x01", None)]
    assert expected == list(oxm_fields(bytes.fromhex("7ffffe01 01")))


@pytest.mark.parametrize("size", range(len(IN_PORT) + 1, len(IN_PORT + CT_LABEL)))
def test_field_cut_anywhere_ends_the_way(size: int) -> None:
    metadata = (IN_PORT + CT_LABEL)[:size]
    assert [(0x8000, 0, bytes.fromhex("00000007"), None)] == list(oxm_fields(metadata))


def test_record_of_the_opflex_agent_is_read() -> None:
    metadata = IN_PORT + tun_metadata(12, bytes.fromhex("0000000c"))
    metadata += tun_metadata(13, bytes.fromhex("00000001")) + tun_metadata(14, bytes(7) + b"\x05")
    metadata += REG0
    expected = DropRecord(12, 1, 5, int.from_bytes(REG0[4:], "big"), 0)
    assert expected == drop_record(metadata)


@pytest.mark.parametrize("value", [b"\x04", b"\x00\x04", bytes(7) + b"\x04", bytes(123) + b"\x04"])
def test_record_of_any_width_is_read(value: bytes) -> None:
    expected = DropRecord(4, None, None, 0, 0)
    assert expected == drop_record(tun_metadata(12, value))


def test_record_is_big_endian() -> None:
    expected = DropRecord(None, 0x0102, None, 0, 0)
    assert expected == drop_record(tun_metadata(13, b"\x01\x02"))


@pytest.mark.parametrize(
    "metadata",
    [
        b"",
        IN_PORT + REG0,
        tun_metadata(11, b"\x04") + tun_metadata(15, b"\x04"),
        tun_metadata(12, b""),
        struct.pack("!HBB", 0x8000, 52 << 1, 1) + b"\x04",
        experimenter(52, 1, b"\x04"),
    ],
)
def test_no_record_gives_none(metadata: bytes) -> None:
    assert (None, None, None) == drop_record(metadata)[:3]
