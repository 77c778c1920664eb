"""Geneve datagrams: what the OpFlex agent's switch recorded is read, whatever stands beside it."""

from __future__ import annotations

import random
import struct

import pytest
from datagrams import drop_log, header, number, option, record

from ryu_droplog.model.errors import MalformedMessage
from ryu_droplog.packet.geneve import DropLog, header_length, parse
from ryu_droplog.packet.packet_in import (
    Context,
    DropRecord,
    OxmField,
    context,
    drop_record,
    oxm_fields,
)

LABEL = bytes(range(0xA0, 0xB0))
OPTIONS = [
    *(number(register, 0x01020300 + register) for register in range(8)),
    number(8, 0x22),
    number(9, 0xABCD),
    number(10, 0x51),
    option(11, LABEL),
    number(12, 6),
    number(13, 1),
    number(14, 0x4000000000000007, 8),
]
"""All that the agent records, by type (opflex, agent-ovs/ovs/PacketDecoderLayers.cpp)."""
FIELDS = {
    **{(1, register): (0x01020300 + register).to_bytes(4, "big") for register in range(8)},
    (1, 105): b"\0\0\0\x22",
    (1, 106): b"\xab\xcd",
    (1, 107): b"\0\0\0\x51",
    (1, 108): LABEL,
    (1, 52): b"\0\0\0\x06",
    (1, 53): b"\0\0\0\x01",
    (1, 54): bytes.fromhex("4000000000000007"),
}
"""The fields of Open vSwitch that hold them, with their widths (ovs-fields(7))."""


def parsed(*options: bytes, vni: int = 2) -> DropLog:
    log = parse(header(*options, vni=vni))
    assert log is not None
    return log


def recorded(log: DropLog) -> dict[tuple[int, int], bytes]:
    """The metadata by class and field, after a look that nothing stands twice or is masked."""
    fields = list(oxm_fields(log.metadata))
    assert len(fields) == len({field[:2] for field in fields})
    assert {None} >= {field.mask for field in fields}
    return {(field.oxm_class, field.field): field.value for field in fields}


def test_header_on_the_wire_is_read_as_the_rfc_draws_it() -> None:
    """Version 0 and 3 units of options; O and C are set; VNI 0x010203; three reserved bits are."""
    wire = bytes.fromhex("03c06558 010203ff ffff0ce1 00000005 12340000") + b"frame"
    assert 20 == header_length(wire)
    expected = DropLog(0x010203, 5, bytes.fromhex("00016804 00000005"))
    assert expected == parse(wire[:20])


def test_all_options_become_the_fields_that_a_packet_in_has() -> None:
    log = parsed(*OPTIONS)
    assert (2, 6) == (log.vni, log.table_id)
    assert FIELDS == recorded(log)
    assert OxmField(1, 0, b"\x01\x02\x03\x00", None) == next(oxm_fields(log.metadata))
    registers = {register: 0x01020300 + register for register in range(8)}
    assert Context(0, 0, 0x22, 0x51, registers) == context(log.metadata)
    expected = DropRecord(6, 1, 0x4000000000000007, 0x01020300, 0x01020302)
    assert expected == drop_record(log.metadata)


@pytest.mark.parametrize("seed", range(20))
def test_options_in_any_order_say_the_same(seed: int) -> None:
    options = OPTIONS.copy()
    random.Random(seed).shuffle(options)
    log = parsed(*options)
    assert (6, FIELDS) == (log.table_id, recorded(log))


@pytest.mark.parametrize("missing", [kind for kind in range(15) if kind != 12])
def test_option_left_out_leaves_its_field_out(missing: int) -> None:
    fields = recorded(parsed(*(one for kind, one in enumerate(OPTIONS) if kind != missing)))
    assert 14 == len(fields)
    assert fields.items() < FIELDS.items()


@pytest.mark.parametrize(
    "stranger",
    [
        option(12, b"\0\0\0\x09", option_class=0x0102),
        option(12, b"\0\0\0\x09", option_class=0x0000),
        option(15, b"\0\0\0\x09"),
        option(0x8C, b"\0\0\0\x09"),
        option(255, bytes(124)),
        option(16, b""),
        option(0, b""),
        option(12, b"", option_class=0x0100),
        option(255, b"", option_class=0x0100, reserved=7),
    ],
    ids=lambda stranger: stranger[:4].hex(),
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_option_that_is_not_known_is_stepped_over(stranger: bytes, place: int) -> None:
    options = [number(12, 6), number(13, 2)]
    options.insert(place, stranger)
    log = parsed(*options)
    expected = {(1, 52): b"\0\0\0\x06", (1, 53): b"\0\0\0\x02"}
    assert (6, expected) == (log.table_id, recorded(log))


@pytest.mark.parametrize(
    "odd",
    [option(3, bytes(8)), option(9, bytes(8)), option(11, bytes(4)), option(14, bytes(4))],
    ids=["long register", "long ct_zone", "short ct_label", "short policy"],
)
def test_value_of_another_length_is_no_field(odd: bytes) -> None:
    assert {(1, 52): b"\0\0\0\x06"} == recorded(parsed(odd, number(12, 6)))


def test_option_that_stands_twice_counts_as_it_stands_last() -> None:
    log = parsed(number(12, 3), number(0, 7), number(12, 6), number(0, 8))
    assert 6 == log.table_id
    assert {(1, 52): b"\0\0\0\x06", (1, 0): b"\0\0\0\x08"} == recorded(log)


def test_reserved_bits_of_an_option_are_no_length() -> None:
    assert 6 == parsed(option(12, b"\0\0\0\x06", reserved=7), number(13, 0)).table_id


@pytest.mark.parametrize("table_id", [0, 1, 254, 255])
def test_any_table_that_openflow_knows_is_one(table_id: int) -> None:
    assert table_id == parsed(number(12, table_id)).table_id


@pytest.mark.parametrize(
    ("value", "said"), [(256, "256"), (0xFFFFFFFF, "4294967295")], ids=["256", "all ones"]
)
def test_table_past_the_last_is_refused(value: int, said: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        parse(header(number(12, value)))
    assert f"drop log names table {said}, expected 0 to 255" == str(caught.value)


def test_table_in_a_longer_option_is_read_and_a_longer_number_is_refused() -> None:
    """It is no field then, so nothing but the log itself names the table."""
    log = parsed(number(12, 6, 8))
    assert (6, b"") == (log.table_id, log.metadata)
    with pytest.raises(MalformedMessage):
        parse(header(number(12, 1 << 32, 8)))


def test_table_option_without_a_value_is_refused() -> None:
    with pytest.raises(MalformedMessage) as caught:
        parse(header(option(12, b"")))
    assert "drop log names no table, expected 0 to 255" == str(caught.value)


@pytest.mark.parametrize("vni", [0, 1, 2, 0x800000, 0xFFFFFF])
@pytest.mark.parametrize("reserved", [0, 0xFF])
def test_vni_has_24_bits_and_the_reserved_ones_do_not_count(vni: int, reserved: int) -> None:
    log = parse(header(number(12, 6), vni=vni, reserved=reserved))
    assert log is not None
    assert (vni, 6) == (log.vni, log.table_id)


@pytest.mark.parametrize(
    "stranger",
    [
        header(),
        header(*OPTIONS[:12], *OPTIONS[13:]),
        header(option(12, b"\0\0\0\x06", option_class=0xFFFE)),
        header(*OPTIONS, protocol=0x0800),
        header(*OPTIONS, protocol=0),
        header(number(12, 256), protocol=0x0800),
    ],
    ids=["bare", "no table", "another class", "IPv4", "nothing", "IPv4 and an odd table"],
)
def test_header_that_is_of_no_drop_log_gives_none(stranger: bytes) -> None:
    assert len(stranger) == header_length(stranger + b"frame")
    assert parse(stranger) is None


@pytest.mark.parametrize("version", [1, 2, 3])
def test_other_version_is_refused(version: int) -> None:
    with pytest.raises(MalformedMessage) as caught:
        header_length(header(record(), version=version) + bytes(60))
    assert f"geneve version is {version}, expected 0" == str(caught.value)


def test_datagram_cut_in_its_header_is_refused_and_behind_it_is_whole() -> None:
    datagram = drop_log()
    end = 8 + 8 + 8 + 12
    refused = []
    for size in range(len(datagram) + 1):
        try:
            assert end == header_length(datagram[:size])
        except MalformedMessage:
            refused.append(size)
    assert list(range(end)) == refused


@pytest.mark.parametrize("size", [0, 1, 7])
def test_datagram_too_short_for_a_header_is_refused_with_its_length(size: int) -> None:
    with pytest.raises(MalformedMessage) as caught:
        header_length(drop_log()[:size])
    expected = f"datagram has {size} bytes, expected at least the 8 of a geneve header"
    assert expected == str(caught.value)


def test_options_past_the_datagram_are_refused() -> None:
    datagram = header(record(), length=252)
    with pytest.raises(MalformedMessage) as caught:
        header_length(datagram)
    assert "geneve options end at byte 260, but 36 bytes are there" == str(caught.value)
    assert 260 == header_length(datagram + bytes(224))


def test_option_past_the_options_is_refused() -> None:
    lies = struct.pack("!HBB", 0xFFFF, 13, 31)
    with pytest.raises(MalformedMessage) as caught:
        parse(header(number(12, 6), lies))
    expected = "geneve option 0xffff/13 ends at byte 144, but the options end at 20"
    assert expected == str(caught.value)


def test_option_past_the_options_by_one_unit_is_refused_though_the_frame_has_the_bytes() -> None:
    whole = header(number(12, 6), number(13, 1))
    short = bytes([whole[0] - 1]) + whole[1:] + bytes(60)
    end = header_length(short)
    assert len(whole) - 4 == end
    with pytest.raises(MalformedMessage):
        parse(short[:end])


def test_header_with_as_many_options_as_fit_is_read() -> None:
    """63 units: what the agent has, and empty ones up to the end."""
    log = parsed(*OPTIONS, *[option(200, b"")] * (63 - sum(map(len, OPTIONS)) // 4))
    assert FIELDS == recorded(log)
