"""The extended line and the JSON object, and what owners say in them."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from frames import ARP, IPV4, IPV6, arp, ethernet, icmp, ipv4, ipv6, udp
from hypothesis import given
from hypothesis import strategies as st

from ryu_droplog import explain
from ryu_droplog.drop import Drop, DropFlow, Origin
from ryu_droplog.explain import Directory
from ryu_droplog.ledger import TableBook
from ryu_droplog.packet.frame import decode
from ryu_droplog.sinks import line
from ryu_droplog.sinks.formats import FORMATS, additions, as_json

FLOW = DropFlow(0xDA8BEF6A, 2000, "tcp,tp_dst=80", {"stage": "ls_out_acl", "acl": 'no "http"'})
# in_port=2, reg5=3, reg6=1, ct_state=+new+trk
TRACKED = bytes.fromhex("8000000400000002 00010a0400000003 00010c0400000001 0001d20400000021")


def drop(frame: bytes, metadata: bytes = b"", table: int = 93, **origin: Any) -> Drop:
    where = Origin("br-int", table, "T", "MISS", "T MISS", TableBook(), **origin)
    return decode(frame, 1700000000.25, where, metadata)


def told(one: Drop) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(as_json(one))
    return found


def test_json_has_what_is_known_and_nothing_else() -> None:
    frame = ethernet(
        ARP, arp("10.0.0.1", "10.0.0.2"), smac="00:00:00:00:00:01", dmac="00:00:00:00:00:02"
    )
    found = told(drop(frame))
    assert datetime.fromtimestamp(1700000000.25, timezone.utc) == datetime.fromisoformat(
        found.pop("time")
    )
    assert {
        "bridge": "br-int",
        "table": "T",
        "table_id": 93,
        "reason": "MISS",
        "drop_reason": "T MISS",
        "smac": "00:00:00:00:00:01",
        "dmac": "00:00:00:00:00:02",
        "ethertype": "ARP",
        "src": "10.0.0.1",
        "dst": "10.0.0.2",
        "arp_op": 1,
    } == found


def test_explicit_drop_is_told_with_its_flow() -> None:
    one = drop(ethernet(ARP, arp("10.0.0.1", "10.0.0.2")), flow=FLOW)
    assert {
        "cookie": "0xda8bef6a",
        "priority": 2000,
        "match": "tcp,tp_dst=80",
        "stage": "ls_out_acl",
        "acl": 'no "http"',
    } == told(one)["flow"]
    assert additions(one) == (
        " FLOW_COOKIE=0xda8bef6a FLOW_PRIORITY=2000 FLOW_MATCH=tcp,tp_dst=80"
        ' STAGE=ls_out_acl ACL="no \\"http\\""'
    )


def test_extended_line_begins_as_the_opflex_line() -> None:
    one = drop(ethernet(ARP, arp("10.0.0.1", "10.0.0.2")), TRACKED)
    assert line.bare(one) + " IN_PORT=2" == FORMATS["extended"].bare(one)
    assert line.full(one) + " IN_PORT=2" == FORMATS["extended"].full(one)


def test_icmpv6_is_told_where_the_opflex_line_says_nothing() -> None:
    message = bytes([135, 0]) + bytes(22)
    one = drop(ethernet(IPV6, ipv6("fe80::1", "ff02::1", 58, message)))
    assert " ICMP6_TYPE=135 ICMP6_CODE=0" == additions(one)
    assert (135, 0) == (told(one)["icmp_type"], told(one)["icmp_code"])


@given(st.binary(max_size=120), st.binary(max_size=60), st.sampled_from([71, 81, 82, 93]))
def test_no_packet_breaks_a_line_or_an_explanation(
    frame: bytes, metadata: bytes, table: int
) -> None:
    def everything(one: Drop) -> dict[str, str | int]:
        return {**explain.neutron(one, {}), **explain.ovn(one, Directory())}

    one = drop(frame, metadata, table, explain=everything, flow=FLOW)
    for form in FORMATS.values():
        for text in (form.full(one), form.redirected(one), form.bare(one)):
            assert text.isascii()
            assert text.isprintable()
    assert isinstance(json.loads(as_json(one)), dict)
