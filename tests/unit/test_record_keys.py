"""The keys of a record, beside the published algorithm and docs/record.md's own words."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
from typing import Any

import communityid
import pytest
from frames import arp, ethernet, icmp, ipv4, ipv6, tcp, udp
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from record_drops import FLOW, context, dropped, place
from test_deep import FRAMES

from ryu_droplog.model.location import Location
from ryu_droplog.packet.deep.ethernet import decode
from ryu_droplog.records import keys, native

ENCODE = native.encoder(context())


def record(frame: bytes, location: Location | None = None) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(ENCODE(dropped(frame, location)))
    return made


def published(source: str, destination: str, protocol: int, *ports: int) -> str:
    """The Community ID by its reference implementation."""
    flow = communityid.FlowTuple(protocol, source, destination, *ports)
    text: str = communityid.CommunityID().calc(flow)
    return text


@given(
    st.binary(min_size=4, max_size=4),
    st.binary(min_size=4, max_size=4),
    st.integers(0, 65535),
    st.integers(0, 65535),
    st.sampled_from((6, 17, 132)),
)
def test_community_id_of_ports_is_the_published_one(
    source: bytes, destination: bytes, source_port: int, destination_port: int, protocol: int
) -> None:
    ends = socket.inet_ntoa(source), socket.inet_ntoa(destination)
    if protocol == 6:
        head = tcp(source_port, destination_port)
    else:
        head = struct.pack("!HHII", source_port, destination_port, 12, 0)
    made = record(ethernet(0x0800, ipv4(*ends, protocol, head)))
    assert published(*ends, protocol, source_port, destination_port) == made["community_id"]
    back = struct.pack("!HH", destination_port, source_port) + head[4:]
    answer = record(ethernet(0x0800, ipv4(ends[1], ends[0], protocol, back)))
    assert made["community_id"] == answer["community_id"]


@pytest.mark.parametrize("kind", range(256))
def test_community_id_of_icmp_is_the_published_one(kind: int) -> None:
    for ends in (("10.0.0.1", "10.0.0.2"), ("10.0.0.2", "10.0.0.1")):
        made = record(ethernet(0x0800, ipv4(*ends, 1, icmp(kind, 3))))
        assert published(*ends, 1, kind, 3) == made["community_id"]
    for ends in (("fd00::1", "fd00::2"), ("fd00::2", "fd00::1")):
        message = bytes((kind, 3)) + bytes(40)
        made = record(ethernet(0x86DD, ipv6(*ends, 58, message)))
        assert published(*ends, 58, kind, 3) == made["community_id"]


@pytest.mark.parametrize("protocol", [2, 47, 50, 89])
def test_community_id_without_ports_is_the_published_one(protocol: int) -> None:
    made = record(ethernet(0x0800, ipv4("10.0.0.2", "10.0.0.1", protocol, bytes(8))))
    assert published("10.0.0.2", "10.0.0.1", protocol) == made["community_id"]


def test_community_id_is_of_ip_alone() -> None:
    assert "community_id" not in record(ethernet(0x0806, arp("10.0.0.1", "10.0.0.2")))


def test_community_id_of_a_later_fragment_has_no_ports() -> None:
    """The reference refuses to tell it; what it does for protocols without ports holds here too."""
    ends = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
    later = ethernet(0x0800, ipv4("10.0.0.2", "10.0.0.1", 17, bytes(16), offset=1))
    digest = hashlib.sha1(b"\0\0" + b"".join(ends) + bytes((17, 0))).digest()
    assert f"1:{base64.b64encode(digest).decode()}" == record(later)["community_id"]


def by_the_book(made: dict[str, Any], ethertype: int, protocol: int, port: int) -> tuple[str, str]:
    """Signature and problem, computed from a record as docs/record.md says."""
    rule = made.get("rule", {})

    def text(words: str) -> bytes:
        return struct.pack("!I", len(words.encode())) + words.encode()

    hashed = text(made["bridge"]) + struct.pack("!B", made["table"]["id"]) + text(made["reason"])
    hashed += struct.pack("!H", rule.get("priority", 0)) + text(rule.get("match", ""))
    hashed += struct.pack("!HHH", ethertype, protocol, port)
    ends = b""
    for end in (made["source"], made["destination"]):
        if "ip" in end:
            family = socket.AF_INET6 if ":" in end["ip"] else socket.AF_INET
            address = socket.inet_pton(family, end["ip"])
        else:
            address = bytes.fromhex(end["mac"].replace(":", ""))
        ends += struct.pack("!B", len(address)) + address
    signature, problem = (
        f"1:{hashlib.sha256(data).digest()[:16].hex()}" for data in (hashed + ends, hashed)
    )
    return signature, problem


@pytest.mark.parametrize(
    ("frame", "numbers"),
    [
        (ethernet(0x0800, ipv4("10.0.0.1", "10.0.0.2", 6, tcp(9, 80))), (0x0800, 6, 80)),
        (ethernet(0x86DD, ipv6("fd00::1", "fd00::2", 17, udp(9, 53))), (0x86DD, 17, 53)),
        (ethernet(0x0806, arp("10.0.0.1", "10.0.0.2")), (0x0806, 0xFFFF, 0)),
        (ethernet(0x88CC, b"x"), (0x88CC, 0xFFFF, 0)),
        (bytes(FRAMES["802.1ad"]), (0x0800, 1, 0)),
        (bytes(FRAMES["mpls"]), (0x0800, 1, 0)),
        (bytes(FRAMES["sctp"]), (0x0800, 132, 2000)),
        (bytes(FRAMES["extension headers"]), (0x86DD, 17, 2)),
        (bytes(12), (0, 0xFFFF, 0)),
    ],
)
def test_signature_and_problem_can_be_computed_by_others(
    frame: bytes, numbers: tuple[int, int, int]
) -> None:
    for location in (place(), place("DENY", FLOW, "no-http")):
        made = record(frame, location)
        assert by_the_book(made, *numbers) == (made["signature"], made["problem"])


def test_problem_is_the_same_whoever_the_ends_are() -> None:
    first = record(ethernet(0x0800, ipv4("10.0.0.1", "10.0.0.2", 6, tcp(9, 80))))
    other = record(ethernet(0x0800, ipv4("10.0.0.3", "10.0.0.4", 6, tcp(10, 80))))
    assert first["problem"] == other["problem"]
    assert first["signature"] != other["signature"]
    another = record(ethernet(0x0800, ipv4("10.0.0.1", "10.0.0.2", 6, tcp(9, 81))))
    assert first["problem"] != another["problem"]


def test_names_cookies_and_source_ports_do_not_change_the_keys() -> None:
    frame = ethernet(0x0800, ipv4("10.0.0.1", "10.0.0.2", 6, tcp(9, 80)))
    location = place("DENY", FLOW, "no-http")
    named = replace(
        location, table="OTHER", policy="", prefix="", flow=FLOW._replace(cookie=5, names={})
    )
    first, second = record(frame, location), record(frame, named)
    again = record(ethernet(0x0800, ipv4("10.0.0.1", "10.0.0.2", 6, tcp(7, 80))), location)
    for key in ("signature", "problem"):
        assert first[key] == second[key] == again[key]
        assert first[key] != record(frame, place("MISS"))[key]


def test_problems_that_are_remembered_have_a_bound() -> None:
    made, location = keys.Keys(), place()
    for number in range(keys.CACHE_SIZE + 10):
        walk, _ = decode(ethernet(0x0800, ipv4("10.0.0.1", "10.0.0.2", 6, tcp(1, number))))
        made.signature_and_problem(location, walk)
    assert len(made._problems) <= keys.CACHE_SIZE
