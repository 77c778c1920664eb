"""The match of a summary flow: the packets of one signature within the match of a flow of ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ryu_droplog.openflow.oxm_match import fields, overlap, text, with_free_bit
from ryu_droplog.openflow.summary_match import narrowed
from ryu_droplog.packet.signature import NONE, Signature

IPV4, IPV6, ARP = 0x0800, 0x86DD, 0x0806
A, B = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
A6, B6 = bytes(15) + b"\x01", bytes(15) + b"\x02"
MAC_A, MAC_B = bytes.fromhex("02000000000a"), bytes.fromhex("02000000000b")
TCP = Signature(3, IPV4, A, B, 6, 80)
ANY = with_free_bit(b"", 15)
IP_TO_B24 = bytes.fromhex("80000a02 0800 80001908 0a000000 ffffff00")
"""ip,nw_dst=10.0.0.0/24"""


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        (TCP, "tcp,reg15=0/0x80000000,in_port=3,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_frag=not_later,"
              "tp_dst=80"),
        (Signature(3, IPV4, A, B, 17, later=True),
         "udp,reg15=0/0x80000000,in_port=3,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_frag=later"),
        (Signature(3, IPV4, A, B, 1),
         "icmp,reg15=0/0x80000000,in_port=3,nw_src=10.0.0.1,nw_dst=10.0.0.2"),
        (Signature(3, IPV6, A6, B6, 132, 3868),
         "sctp6,reg15=0/0x80000000,in_port=3,ipv6_src=::1,ipv6_dst=::2,nw_frag=not_later,"
         "tp_dst=3868"),
        (Signature(3, ARP, MAC_A, MAC_B),
         "arp,reg15=0/0x80000000,in_port=3,dl_src=02:00:00:00:00:0a,dl_dst=02:00:00:00:00:0b"),
    ],
)  # fmt: skip
def test_signature_within_everything_reads_as_its_packets(
    signature: Signature, expected: str
) -> None:
    for match in (b"", ANY):
        narrow = narrowed(match, signature)
        assert narrow is not None
        assert expected == text(narrow)


def test_what_the_flow_below_asks_stays_asked() -> None:
    below = with_free_bit(IP_TO_B24 + bytes.fromhex("0001 d204 00000021"), 14)
    narrow = narrowed(below, TCP)
    assert narrow is not None
    assert "ct_state=" in text(narrow)
    assert "nw_dst=10.0.0.2," in text(narrow)
    assert "reg14=0/0x80000000" in text(narrow)
    assert "reg15" not in text(narrow)


def test_signature_that_the_flow_below_does_not_take_has_no_match() -> None:
    assert narrowed(with_free_bit(IP_TO_B24, 15), TCP._replace(target=bytes([10, 0, 1, 2]))) is None


signatures = st.builds(
    lambda port, a, b, protocol, dst, later: Signature(
        port, IPV4, a, b, protocol, NONE if later or protocol == 1 else dst, later
    ),
    st.integers(1, 3),
    st.sampled_from([A, B]),
    st.sampled_from([A, B]),
    st.sampled_from([1, 6, 17]),
    st.sampled_from([0, 80]),
    st.booleans(),
)


@given(signatures, signatures)
def test_two_signatures_never_overlap(first: Signature, second: Signature) -> None:
    """So their flows may stand beside each other at one priority."""
    one, other = narrowed(b"", first), narrowed(b"", second)
    assert one is not None
    assert other is not None
    same = first._replace(later=False) == second._replace(later=False) and first.protocol == 1
    assert (first == second or same) == overlap(one, other)


@given(signatures)
def test_narrow_match_asks_all_that_the_one_below_asks(signature: Signature) -> None:
    below = with_free_bit(IP_TO_B24, 15)
    narrow = narrowed(below, signature)
    assert narrow is not None
    for field, (value, mask, _) in fields(below).items():
        narrow_value, narrow_mask, _ = fields(narrow)[field]
        assert mask == mask & narrow_mask
        assert value == narrow_value & mask
