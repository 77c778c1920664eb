"""The extended line and the JSON object."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, get_args

import drops
import pytest
from clocks import forget
from drops import location
from frames import ARP, IPV4, IPV6, QTAG, arp, ethernet, icmp, ipv4, ipv6, tcp, vlan
from sinks import file_sink

from ryu_droplog.model.drop import Drop, Explain
from ryu_droplog.model.location import DropFlow
from ryu_droplog.records.context import Identify, explain_nothing, identify_nobody
from ryu_droplog.records.record import Identity
from ryu_droplog.sinks import formats, line
from ryu_droplog.sinks.formats import Encoding, additions, as_json, text_format

DOCS = (Path(__file__).resolve().parents[2] / "docs/formats.md").read_text(encoding="utf-8")

FLOW = DropFlow(0xDA8BEF6A, 2000, "tcp,tp_dst=80", {"stage": "ls_out_acl", "acl": 'no "http"'})
# in_port=2, reg5=3, reg6=1, ct_state=+new+trk
TRACKED = bytes.fromhex("8000000400000002 00010a0400000003 00010c0400000001 0001d20400000021")


def drop(frame: bytes, metadata: bytes = b"", table: int = 93, **more: Any) -> Drop:
    where = location(table, name="T", **more)
    return drops.drop(frame, where, 1700000000.25, metadata)


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Sets the time zone, for a test."""

    def put(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        refresh()

    def refresh() -> None:
        time.tzset()
        forget(formats, line)

    yield put
    monkeypatch.undo()
    refresh()


def told(
    one: Drop, explain: Explain = explain_nothing, identify: Identify = identify_nobody
) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(as_json(one, explain, identify))
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
    assert additions(one, explain_nothing) == (
        " FLOW_COOKIE=0xda8bef6a FLOW_PRIORITY=2000 FLOW_MATCH=tcp,tp_dst=80"
        ' STAGE=ls_out_acl ACL="no \\"http\\"" BRIDGE=br-int'
    )


def test_extended_line_is_the_opflex_line_with_the_offset_of_its_time_and_more(
    zone: Callable[[str], None],
) -> None:
    zone("CET-1CEST,M3.5.0,M10.5.0/3")
    one = drop(ethernet(ARP, arp("10.0.0.1", "10.0.0.2")), TRACKED)
    for name, offset in (("full", " +0100]"), ("redirected", " +0100]"), ("bare", "]")):
        opflex, extended = (
            getattr(text_format(form, explain_nothing), name)(one)
            for form in ("opflex", "extended")
        )
        assert f"{opflex} IN_PORT=2 BRIDGE=br-int".replace("]", offset, 1) == extended
    assert (
        text_format("extended", explain_nothing)
        .full(one)
        .startswith("[2023-Nov-14 23:13:20.250000 +0100] [info] ")
    )


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (1708415956.845663, "2024-Feb-20 08:59:16.845663 +0100"),
        (1711846799.9999999, "2024-Mar-31 03:00:00.000000 +0200"),
        (1711846799.5, "2024-Mar-31 01:59:59.500000 +0100"),
        (1729990799.5, "2024-Oct-27 02:59:59.500000 +0200"),
        (1729990800.5, "2024-Oct-27 02:00:00.500000 +0100"),
    ],
)
def test_offset_is_that_of_the_moment(
    zone: Callable[[str], None], seconds: float, expected: str
) -> None:
    """Also in the hour that comes twice, and in a second that rounding begins."""
    zone("CET-1CEST,M3.5.0,M10.5.0/3")
    assert expected == line.zoned_timestamp(seconds)


@pytest.mark.parametrize(
    ("name", "offset"), [("UTC0", "+0000"), ("<+0545>-5:45", "+0545"), ("NST3:30", "-0330")]
)
def test_offset_has_hours_and_minutes(zone: Callable[[str], None], name: str, offset: str) -> None:
    zone(name)
    assert line.zoned_timestamp(1708415956.0).endswith(f" {offset}")


def test_times_of_a_clock_that_is_set_back_have_their_own_text(
    zone: Callable[[str], None],
) -> None:
    zone("CET-1CEST,M3.5.0,M10.5.0/3")
    texts = [line.zoned_timestamp(1711846801.5 + step) for step in (0, 1, -2, -1, 0, 86400, 1)]
    assert texts[0] == texts[4]
    assert texts[1] == texts[6]
    assert "2024-Mar-31 01:59:59.500000 +0100" == texts[2]


def test_bridge_stands_last_and_before_the_repeats_only() -> None:
    one = drop(ethernet(ARP, arp("10.0.0.1", "10.0.0.2"))[:20], flow=FLOW)
    one.repeated = 7
    text = text_format("extended", explain_nothing).bare(one)
    assert text.endswith(' ACL="no \\"http\\"" BRIDGE=br-int REPEATED=7')
    assert " TRUNCATED FLOW_COOKIE=" in text
    assert text_format("opflex", explain_nothing).bare(one).endswith(" TRUNCATED REPEATED=7")


def test_name_of_a_bridge_cannot_forge_what_is_behind_it() -> None:
    where = location(4, bridge="br\n[x] REPEATED=9", name="T")
    text = text_format("extended", explain_nothing).bare(drops.drop(b"", where))
    assert 'T MISS  TRUNCATED BRIDGE="br\\n[x] REPEATED=9"' == text


def test_icmpv6_is_told_where_the_opflex_line_says_nothing() -> None:
    message = bytes([135, 0]) + bytes(22)
    one = drop(ethernet(IPV6, ipv6("fe80::1", "ff02::1", 58, message)))
    assert " ICMP6_TYPE=135 ICMP6_CODE=0 BRIDGE=br-int" == additions(one, explain_nothing)
    assert (135, 0) == (told(one)["icmp_type"], told(one)["icmp_code"])


def test_each_key_is_documented_and_in_the_order_of_the_docs() -> None:
    """Of TCP, ICMP, ARP and a later fragment together, all that docs/formats.md has."""
    documented = re.findall(r"`(\w+)`", "".join(re.findall(r"(?m)^\| (`[^|]*) \|", DOCS)))
    tags = vlan(0xE007, QTAG), vlan(9, IPV4)
    segment = tcp(41001, 80, flags=0x112)
    frames = [
        ethernet(QTAG, *tags, ipv4("10.0.0.1", "10.0.0.2", 6, segment)),
        ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 1, icmp(3, 13))),
        ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 6, segment, offset=3)),
        ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 6, segment[:-1])),
        ethernet(ARP, arp("10.0.0.1", "10.0.0.2")),
    ]
    found: set[str] = set()
    ends = Identity(vm="a"), Identity(pod="b")
    for frame in frames:
        one = drop(frame, TRACKED, flow=FLOW, source_tenant="a", destination_tenant="b")
        one.repeated, one.acknowledged = 4, True
        keys = list(told(one, lambda drop: {"why": "no rule matches"}, lambda drop, port: ends))
        assert [key for key in documented if key in keys] == keys
        found.update(keys)
    assert set(documented) == found


def test_tcp_segment_behind_tags_is_told_whole() -> None:
    tags = vlan(0xE007, QTAG), vlan(9, IPV6)
    frame = ethernet(QTAG, *tags, ipv6("fe80::1", "ff02::1", 6, tcp(41001, 80, flags=0x112)))
    found = told(drop(frame, TRACKED, named=False))
    del found["time"], found["smac"], found["dmac"]
    assert {
        "bridge": "br-int",
        "table": "T",
        "table_id": 93,
        "reason": "MISS",
        "drop_reason": "T MISS",
        "in_port": 2,
        "vlans": [7, 9],
        "ethertype": "IPv6",
        "src": "fe80::1",
        "dst": "ff02::1",
        "protocol": "TCP",
        "ttl": 64,
        "length": 20,
        "sport": 41001,
        "dport": 80,
        "tcp_flags": "NS ACK SYN",
    } == found


@pytest.mark.parametrize("size", range(13))
def test_frame_without_ethertype_is_told_as_cut(size: int) -> None:
    found = told(drop(ethernet(ARP, arp("10.0.0.1", "10.0.0.2"))[:size]))
    assert (True, False) == (found["truncated"], "ethertype" in found)
    assert (size >= 6, size >= 12) == ("dmac" in found, "smac" in found)


def test_repeats_are_told() -> None:
    one = drop(ethernet(ARP, arp("10.0.0.1", "10.0.0.2")))
    one.repeated = 7
    assert 7 == told(one)["repeated"]


@pytest.mark.parametrize(
    "name", ["UTC0", "<+0545>-5:45", "NST3:30NDT,M3.2.0,M11.1.0", "CET-1CEST,M3.5.0,M10.5.0/3"]
)
@pytest.mark.parametrize("seconds", [0.0, 1700000000.9999999, 1729990799.5, 1729990800.5])
def test_time_is_the_local_time_with_its_offset(
    name: str, seconds: float, zone: Callable[[str], None]
) -> None:
    """Also within the hour that a change from daylight saving time gives twice."""
    zone(name)
    one = drop(ethernet(ARP, arp("10.0.0.1", "10.0.0.2")))
    one.time = seconds
    expected = datetime.fromtimestamp(seconds).astimezone()
    assert expected.isoformat(timespec="microseconds") == told(one)["time"]


@pytest.mark.parametrize("name", ["réseau", "Ā", "\U0001d11e", "tab\t", "line\nend", "\ud800"])
@pytest.mark.parametrize("form", get_args(Encoding))
def test_name_in_any_language_is_one_line_of_a_file(name: str, form: str, tmp_path: Path) -> None:
    path = tmp_path / "drops"
    sink = file_sink(path, form)
    sink.start()
    flow = DropFlow(1, 2, "tcp", {"acl": name})
    sink.put([drop(ethernet(ARP, arp("10.0.0.1", "10.0.0.2")), flow=flow)])
    assert 0 == sink.close(5)
    line_of_file, rest = path.read_bytes().split(b"\n")
    assert b"" == rest
    if form == "json":
        assert name == json.loads(line_of_file)["flow"]["acl"]
    if form == "extended":
        acl = line_of_file.partition(b" ACL=")[2].removesuffix(b" BRIDGE=br-int")
        assert name == json.loads(acl)
