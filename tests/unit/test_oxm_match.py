"""Matches: whether two overlap, how they read, how one becomes ours."""

from __future__ import annotations

import pytest
from clocks import remembered
from hypothesis import assume, given
from hypothesis import strategies as st

from ryu_droplog.openflow import oxm_match
from ryu_droplog.openflow.oxm_match import (
    SPARE_REGISTERS,
    fields,
    free_bit,
    overlap,
    text,
    with_free_bit,
)

TCP = "80000a02 0800 80001401 06"
TEXTS = {
    "": "",
    "80000a02 0806": "arp",
    f"{TCP} 80001c02 0050": "tcp,tp_dst=80",
    "80000408 0000000000000003 80000a02 0800 80001604 0a0000ff": (
        "ip,metadata=0x3,nw_src=10.0.0.255"
    ),
    "0001d308 00000030 00000030": "ct_state=+inv+trk",
    "8000090c 010000000000 010000000000": "dl_src=01:00:00:00:00:00/01:00:00:00:00:00",
    "80000d04 1000 1000": "vlan_tci=0x1000/0x1000",
    "80000c02 1005": "dl_vlan=5",
    "80000a02 86dd 80003520 fe800000000000000000000000000000 ffc00000000000000000000000000000": (
        "ipv6,ipv6_src=fe80::/10"
    ),
    "00011308 00000000 00000001": "reg9=0/0x1",
    "77777604 01020304": "oxm_0x7777_59=0x1020304",
    "0001d204 00000021": "ct_state=new|trk",
    "0001d402 0005": "ct_zone=5",
    "80000004 fffffffe": "in_port=LOCAL",
    f"{TCP} 80005402 0012": "tcp,tcp_flags=syn|ack",
}


@pytest.mark.parametrize("match", TEXTS)
def test_match_reads_as_ovs_ofctl_shows_it(match: str) -> None:
    assert TEXTS[match] == text(bytes.fromhex(match))


def test_long_matches_are_read_but_not_remembered() -> None:
    """Only a hostile switch has them; many would take much memory."""
    long = bytes.fromhex("77777600") * 15_000 + bytes.fromhex("80000a02 0806")
    before = remembered(oxm_match)
    assert 2 == len(fields(long))
    assert before == remembered(oxm_match)
    assert not overlap(long, bytes.fromhex("80000a02 0800"))


def raw(*parts: str) -> bytes:
    return bytes.fromhex("".join(parts))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("", "80000a020806", True),
        ("80000a020800", "80000a020806", False),
        ("80000a020800", "8000000400000001", True),
        ("00011f080000000200000002", "00011f080000000000000002", False),
        ("00011f080000000200000002", "00011f080000000000000001", True),
        ("00011e0400000003", "00011f080000000100000001", True),
        ("00011e0400000002", "00011f080000000100000001", False),
    ],
)
def test_matches_overlap_unless_a_bit_differs(one: str, other: str, expected: bool) -> None:
    assert expected == overlap(raw(one), raw(other)) == overlap(raw(other), raw(one))


def test_spare_bit_is_of_the_first_register_that_is_not_pinned() -> None:
    match = raw("00011e0400000003", "00011d080000000080000000")
    assert 13 == free_bit(match)
    assert 15 == free_bit(b"")


def test_match_that_pins_every_spare_register_has_no_bit() -> None:
    match = raw(*(f"0001{register << 1:02x}0400000001" for register in SPARE_REGISTERS))
    assert None is free_bit(match)


def test_register_of_another_size_is_not_spare() -> None:
    assert 14 == free_bit(raw("00011f0c 000000000000 0001000001d2"))


registers = st.dictionaries(
    st.sampled_from(range(16)),
    st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 2**32 - 1)),
    max_size=4,
)


@given(registers)
def test_match_with_a_spare_bit_is_another_that_matches_the_same_packets(
    known: dict[int, tuple[int, int]],
) -> None:
    match = b"".join(
        bytes.fromhex(f"0001{register << 1 | 1:02x}08{value & mask:08x}{mask:08x}")
        for register, (value, mask) in known.items()
    )
    register = free_bit(match)
    assume(register is not None)
    assert register is not None
    ours = with_free_bit(match, register)
    before, after = fields(match), fields(ours)
    value, mask, _ = after[1, register]
    assert mask & 0x80000000
    assert not value & 0x80000000
    assert before.get((1, register), (0, 0, 4))[:2] == (value, mask & 0x7FFFFFFF)
    assert {k: v for k, v in before.items() if k != (1, register)} == {
        k: v for k, v in after.items() if k != (1, register)
    }
    assert overlap(match, ours)


@given(st.binary(max_size=80))
def test_no_bytes_make_it_raise_and_all_text_is_plain(match: bytes) -> None:
    assert text(match).isascii()
    assert text(match).isprintable()
    assert overlap(match, match)
