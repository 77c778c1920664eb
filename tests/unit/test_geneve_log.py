"""Drop logs by name: bridge, table, reason, policy and tenants of a datagram, and its line."""

from __future__ import annotations

import itertools
import os
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from book_rows import total
from clocks import forget
from datagrams import ACC, INT, drop_log, header, number, record
from frames import ARP, IPV4, IPV6, QTAG, arp, ethernet, ipv4, ipv6, syn, udp, vlan
from sinks import Kept

from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.model.drop import Drop
from ryu_droplog.model.errors import MalformedMessage
from ryu_droplog.model.location import Location
from ryu_droplog.owners import opflex_names
from ryu_droplog.owners.opflex_names import OpflexNames, PolicyNames, parse_ids
from ryu_droplog.packet.packet_in import DropRecord
from ryu_droplog.pipelines.loader import load_pipelines
from ryu_droplog.processing.chain import Chain
from ryu_droplog.sinks import line
from ryu_droplog.sinks.log_books import LogBooks
from ryu_droplog.sources import geneve_log, locations
from ryu_droplog.sources.geneve_log import GeneveLogReader, Sender, senders

NOW = 1708415956.845663
PATIENCE = 5.0
PIPELINES = load_pipelines(None)
COOKIE = 0x4000000000000007
HEAD = struct.pack("=8sI", b"opflexid", 1)
REASON = {0: "MISS", 1: "DENY", 2: "PERMIT"}


def entry(policy: int, name: bytes) -> bytes:
    """A name in the agent's id file, in the byte order of the machine."""
    return struct.pack("=IH", policy, len(name)) + name


class Bed:
    """What reads datagrams, with a chain and a sink behind it."""

    def __init__(self, configured: Mapping[str, tuple[str, str | None]] | None = None) -> None:
        self.books = SourceBooks()
        self.logs = GeneveLogReader("geneve", senders(PIPELINES, configured or {}), self.books)
        self.sink = Kept()
        self.log = LogBooks()
        self.log.begin(self.sink)
        self.chain = Chain(self.logs, self.books, None, [self.sink])

    def location(self, datagram: bytes) -> Location:
        arrival = self.logs.read(datagram)
        assert arrival is not None
        return arrival[0]

    def label(self, *options: bytes, vni: int = ACC) -> str:
        return self.location(header(*options, vni=vni)).drop_reason

    def drops(self, *datagrams: bytes) -> list[Drop]:
        self.chain.take(datagrams, NOW, NOW)
        self.sink.start()
        assert 0 == self.sink.close(PATIENCE)
        return self.sink.drops


@pytest.fixture
def bed() -> Bed:
    return Bed()


@pytest.fixture
def ids(tmp_path: Path) -> Path:
    return tmp_path / "l24classifierRule.id"


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """UTC for the test alone; texts of other zones are forgotten before and after."""

    def refresh() -> None:
        time.tzset()
        forget(line)

    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        refresh()
        yield
    refresh()


# Bridges and tables


@pytest.mark.parametrize(
    ("vni", "pipeline", "prefix", "bridge"),
    [(INT, "opflex-int", "Int-", "br-int"), (ACC, "opflex-access", "Acc-", "br-access")],
)
def test_table_of_each_bridge_has_its_name_and_prefix(
    bed: Bed, vni: int, pipeline: str, prefix: str, bridge: str
) -> None:
    for table in range(256):
        location = bed.location(drop_log(table_id=table, vni=vni))
        known = PIPELINES[pipeline].tables.get(table)
        name = known.name if known else f"TABLE_{table}"
        assert (bridge, table, name) == (location.bridge, location.table_id, location.table)
        assert (f"{prefix}{name} MISS", known is not None) == (
            location.drop_reason,
            location.named,
        )
        assert ("geneve", vni * 256 + table) == location.key
        assert f"{prefix}{name}" == bed.books.names[vni * 256 + table]


def test_shipped_names_are_those_of_the_agent(bed: Bed) -> None:
    assert "Int-PORT_SECURITY_TABLE MISS" == bed.label(record(1), vni=INT)
    assert "Int-POL_TABLE MISS" == bed.label(record(12), vni=INT)
    assert "Acc-SEC_GROUP_IN_TABLE MISS" == bed.label(record(4), vni=ACC)
    assert "Acc-SYS_SEC_GRP_OUT_TABLE_ID MISS" == bed.label(record(5), vni=ACC)


@pytest.mark.parametrize("vni", [0, 3, 4, 0xFFFFFF])
def test_other_vni_has_tables_without_names_or_prefix(bed: Bed, vni: int) -> None:
    location = bed.location(drop_log(table_id=4, vni=vni))
    assert ("geneve", "TABLE_4", "TABLE_4 MISS") == (
        location.bridge,
        location.table,
        location.drop_reason,
    )
    assert not location.named
    assert [4] == list(bed.books.tables)


def test_configured_name_and_prefix_go_first() -> None:
    bed = Bed({"opflex-int": ("br-fabric", None), "opflex-access": ("br-acc", "X-")})
    assert ("br-fabric", "Int-POL_TABLE MISS") == (
        bed.location(drop_log(table_id=12, vni=INT)).bridge,
        bed.label(record(12), vni=INT),
    )
    assert "br-acc" == bed.location(drop_log()).bridge
    assert "X-SEC_GROUP_IN_TABLE MISS" == bed.label(record(4))


def test_names_that_change_are_those_of_the_next_datagram(bed: Bed) -> None:
    before = bed.label(record(4))
    bed.logs.change(senders(PIPELINES, {"opflex-access": ("br-access", "New-")}))
    assert ("Acc-SEC_GROUP_IN_TABLE MISS", "New-SEC_GROUP_IN_TABLE MISS") == (
        before,
        bed.label(record(4)),
    )
    assert "New-SEC_GROUP_IN_TABLE" == bed.books.names[ACC * 256 + 4]


def test_names_that_change_keep_the_words_of_the_agent(bed: Bed) -> None:
    bed.logs.learn_opflex_names(OpflexNames({7: "rule"}))
    bed.logs.change(senders(PIPELINES, {"opflex-access": ("br-access", "New-")}))
    assert "New-SEC_GROUP_IN_TABLE DENY rule" == bed.label(record(4, 1, 7))


# Reasons, policies, tenants


@pytest.mark.parametrize(
    ("reason", "label"),
    [
        (0, "MISS"),
        (1, "DENY rule"),
        (2, "PERMIT rule"),
        (3, "MISS"),
        (0xFFFFFFFF, "MISS"),
    ],
)
def test_policy_is_named_where_one_decided(bed: Bed, reason: int, label: str) -> None:
    bed.logs.learn_opflex_names(OpflexNames({7: "rule"}))
    assert f"Acc-SEC_GROUP_IN_TABLE {label}" == bed.label(record(4, reason, COOKIE))


@pytest.mark.parametrize("policy", [0, 8, 0x700000000])
def test_policy_without_a_name_is_left_out(bed: Bed, policy: int) -> None:
    bed.logs.learn_opflex_names(OpflexNames({7: "rule"}))
    assert "Acc-SEC_GROUP_IN_TABLE DENY" == bed.label(record(4, 1, policy))


def test_record_without_a_reason_is_a_miss(bed: Bed) -> None:
    assert "Acc-SEC_GROUP_IN_TABLE MISS" == bed.label(number(12, 4))


def test_policy_gets_its_name_as_soon_as_it_is_known(bed: Bed) -> None:
    datagram = drop_log(reason=1, policy=COOKIE)
    before = bed.location(datagram).drop_reason
    bed.logs.learn_opflex_names(OpflexNames({7: "rule"}))
    expected = ("Acc-SEC_GROUP_IN_TABLE DENY", "Acc-SEC_GROUP_IN_TABLE DENY rule")
    assert expected == (before, bed.location(datagram).drop_reason)


@pytest.mark.parametrize(
    ("groups", "text"),
    [
        ((10, 11), " STID=a DTID=b"),
        ((10, 12), " STID=a DTID=N/A"),
        ((0, 11), " STID=N/A DTID=b"),
        ((0, 0), " STID=N/A DTID=N/A"),
    ],
)
def test_tenants_stand_behind_the_label_where_they_are_asked_for(
    bed: Bed, groups: tuple[int, int], text: str
) -> None:
    datagram = header(number(0, groups[0]), number(2, groups[1]), record())
    assert line.HEAD_TEXT[bed.location(datagram)] == bed.location(datagram).drop_reason
    bed.logs.learn_opflex_names(OpflexNames(tenants={10: "a", 11: "b"}))
    location = bed.location(datagram)
    assert line.HEAD_TEXT[location] == location.drop_reason + text


# Bounds


def test_headers_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch, bed: Bed) -> None:
    monkeypatch.setattr(geneve_log, "HEADERS", 10)
    for group in range(100):
        for datagram in (header(number(0, group), record()), header(number(0, group))):
            bed.logs.read(datagram)
            assert 10 >= bed.logs.headers
    assert 1 == len(bed.books.tables)


def test_malformed_header_is_not_remembered(bed: Bed) -> None:
    for table in range(256, 300):
        with pytest.raises(MalformedMessage):
            bed.logs.read(drop_log(table_id=table))
    assert 0 == bed.logs.headers


def test_frame_is_no_part_of_what_is_remembered(bed: Bed) -> None:
    first, second = (bed.logs.read(drop_log(frame)) for frame in (b"one", b"two"))
    assert first is not None
    assert second is not None
    assert (b"one", b"two") == (first[2], second[2])
    assert first[0] is second[0]
    assert 1 == bed.logs.headers


def test_origins_are_bounded_and_the_books_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locations, "LOCATIONS", 10)
    books = SourceBooks()
    some = locations.Locations("s", "br-access", None, PIPELINES["opflex-access"], books)
    some.learn_opflex_names(OpflexNames({number: f"rule-{number}" for number in range(1, 100)}))
    keys = set()
    for policy in range(1, 100):
        location = some.recorded(DropRecord(4, 1, policy, 0, 0), 4)
        assert f"Acc-SEC_GROUP_IN_TABLE DENY rule-{policy}" == location.drop_reason
        keys.add(location.key)
        assert 10 >= some.kept
    assert {("s", 4)} == keys
    assert [4] == list(books.tables)


def test_books_are_bounded_whatever_the_vni(bed: Bed) -> None:
    for vni, table in itertools.product(range(40), range(0, 256, 5)):
        bed.logs.read(header(number(12, table), vni=vni))
    assert 3 * 52 == len(bed.books.tables)


def test_table_past_the_last_in_a_packet_in_is_where_it_was_dropped() -> None:
    some = locations.Locations("s", "br-access", None, PIPELINES["opflex-access"], SourceBooks())
    assert 9 == some.recorded(DropRecord(256, 0, 0, 0, 0), 9).table_id
    assert 9 == some.recorded(DropRecord(None, None, None, 0, 0), 9).table_id
    assert 255 == some.recorded(DropRecord(255, 0, 0, 0, 0), 9).table_id


# The id file


def test_file_of_the_agent_gives_names_by_id(ids: Path) -> None:
    ids.write_bytes(HEAD + entry(7, b"rule-a") + entry(0xFFFFFFFF, b"") + entry(0, b"rule-b"))
    names = PolicyNames(str(ids.parent))
    assert names.poll()
    assert {7: "rule-a", 0xFFFFFFFF: "", 0: "rule-b"} == names.names
    assert not names.poll()


def test_cut_file_gives_the_names_that_are_whole() -> None:
    whole = [entry(1, b"one"), entry(2, b"two"), entry(3, b"three")]
    data = HEAD + b"".join(whole)
    ends = [len(HEAD) + sum(map(len, whole[:count])) for count in range(4)]
    for size in range(len(data) + 1):
        expected = [(1, "one"), (2, "two"), (3, "three")][: sum(size >= end for end in ends[1:])]
        assert expected == list(parse_ids(data[:size]))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"opflexid",
        struct.pack("=8sI", b"opflexid", 2) + entry(1, b"one"),
        struct.pack("=8sI", b"opflexic", 1) + entry(1, b"one"),
        struct.pack(">8sI" if struct.pack("=H", 1)[0] else "<8sI", b"opflexid", 1),
        b"\x7fELF" + bytes(100),
    ],
    ids=["empty", "cut", "another version", "another magic", "another byte order", "another file"],
)
def test_foreign_file_has_no_names(ids: Path, data: bytes) -> None:
    ids.write_bytes(data)
    names = PolicyNames(str(ids.parent))
    assert not names.poll()
    assert {} == names.names


def test_id_that_stands_twice_has_its_last_name(ids: Path) -> None:
    ids.write_bytes(HEAD + entry(1, b"old") + entry(1, b"new"))
    names = PolicyNames(str(ids.parent))
    names.poll()
    assert {1: "new"} == names.names


def test_huge_file_is_read_up_to_its_bound(monkeypatch: pytest.MonkeyPatch, ids: Path) -> None:
    monkeypatch.setattr(opflex_names, "FILE_SIZE", len(HEAD) + 2 * len(entry(1, b"one")) + 3)
    ids.write_bytes(HEAD + b"".join(entry(policy, b"one") for policy in range(1000)))
    os.truncate(ids, 1 << 40)
    names = PolicyNames(str(ids.parent))
    names.poll()
    assert {0: "one", 1: "one"} == names.names


def test_fifo_is_not_waited_for_with_and_without_a_writer(ids: Path) -> None:
    os.mkfifo(ids)
    names = PolicyNames(str(ids.parent))
    assert not names.poll()
    reader = os.open(ids, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(ids, os.O_WRONLY)
    try:
        assert not PolicyNames(str(ids.parent)).poll()
    finally:
        os.close(reader)
        os.close(writer)
    assert {} == names.names


def test_folder_in_the_place_of_the_file_costs_no_descriptor(ids: Path) -> None:
    ids.mkdir()
    names = PolicyNames(str(ids.parent))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        assert not names.poll()
    assert before == len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"a rule", "a\\x20rule"),
        (b"a\nrule\r\t", "a\\nrule\\r\\t"),
        (b"\x00\x1b[2J\x7f", "\\x00\\x1b[2J\\x7f"),
        ("r\u00e9gle".encode(), "r\u00e9gle"),
        ("\u2028\U0001f600".encode(), "\\u2028\U0001f600"),
        (b'"x" SRC=1', "\\x22x\\x22\\x20SRC\\x3d1"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"/PolicyUniverse/PolicySpace/common/x%7cy/", "/PolicyUniverse/PolicySpace/common/x%7cy/"),
    ],
)
def test_name_comes_as_one_printable_word(bed: Bed, name: bytes, text: str) -> None:
    names = dict(parse_ids(HEAD + entry(7, name)))
    assert {7: text} == names
    bed.logs.learn_opflex_names(OpflexNames(names))
    assert f"Acc-SEC_GROUP_IN_TABLE DENY {text}" == bed.label(record(4, 1, 7))


def test_poll_sees_what_is_written_replaced_cut_and_removed(ids: Path) -> None:
    names = PolicyNames(str(ids.parent))
    seen = [(names.poll(), dict(names.names))]
    ids.write_bytes(HEAD + entry(1, b"one"))
    seen.append((names.poll(), dict(names.names)))
    other = ids.with_suffix(".new")
    other.write_bytes(HEAD + entry(1, b"uno"))
    other.rename(ids)
    seen.append((names.poll(), dict(names.names)))
    seen.append((names.poll(), dict(names.names)))
    with ids.open("ab") as file:
        file.write(entry(2, b"due"))
    seen.append((names.poll(), dict(names.names)))
    os.truncate(ids, 3)
    seen.append((names.poll(), dict(names.names)))
    ids.write_bytes(HEAD + entry(3, b"tre"))
    seen.append((names.poll(), dict(names.names)))
    ids.unlink()
    seen += [(names.poll(), dict(names.names)), (names.poll(), dict(names.names))]
    expected = [
        (False, {}),
        (True, {1: "one"}),
        (True, {1: "uno"}),
        (False, {1: "uno"}),
        (True, {1: "uno", 2: "due"}),
        (True, {}),
        (True, {3: "tre"}),
        (True, {}),
        (False, {}),
    ]
    assert expected == seen


def test_directory_that_is_not_there_has_no_names(tmp_path: Path) -> None:
    names = PolicyNames(str(tmp_path / "none"))
    assert (False, {}) == (names.poll(), names.names)


# Whole lines

WORKED = [
    (
        syn(),
        " SMAC=00:22:bd:f8:19:ff DMAC=0a:58:0a:02:00:c3 ETYP=IPv4 SRC=10.2.0.229 DST=10.2.0.195"
        " LEN=60 DSCP=0 TTL=62 ID=58352 FLAGS=2 FRAG=0 PROTO=TCP SPT=42934 DPT=80 SEQ=2794802783"
        " ACK=0 LEN=10 WINDOWS=62020 SYN  URGP=0",
    ),
    (
        ethernet(
            ARP, arp("13.0.0.3", "13.0.0.5"), smac="9e:72:a6:94:18:af", dmac="ff:ff:ff:ff:ff:ff"
        ),
        " SMAC=9e:72:a6:94:18:af DMAC=ff:ff:ff:ff:ff:ff ETYP=ARP ARP_SPA=13.0.0.3 ARP_TPA=13.0.0.5"
        " ARP_OP=1",
    ),
    (
        ethernet(
            QTAG,
            vlan(4094, IPV4),
            ipv4(
                "192.168.210.8",
                "224.0.0.22",
                2,
                bytes(16),
                tos=48 << 2,
                ttl=1,
                flags=2,
                options=bytes.fromhex("94040000"),
            ),
            smac="fa:16:3e:d3:f3:0b",
            dmac="01:00:5e:00:00:16",
        ),
        " SMAC=fa:16:3e:d3:f3:0b DMAC=01:00:5e:00:00:16 ETYP=Qtag QTAG=4094 IPv4 SRC=192.168.210.8"
        " DST=224.0.0.22 LEN=40 DSCP=48 TTL=1 ID=0 FLAGS=2 FRAG=0 PROTO=2_unrecognized",
    ),
    (
        ethernet(
            IPV6,
            ipv6(
                "fe80::a00:27ff:fefe:8f95",
                "ff02::1:2",
                17,
                udp(546, 547, 60),
                bytes(52),
                hop_limit=1,
            ),
            smac="9e:72:a6:94:18:af",
            dmac="5a:08:66:ce:0b:49",
        ),
        " SMAC=9e:72:a6:94:18:af DMAC=5a:08:66:ce:0b:49 ETYP=IPv6 SRC=fe80::a00:27ff:fefe:8f95"
        " DST=ff02::1:2 LEN=60 TC=0 HL=1 FL=0 PROTO=UDP SPT=546 DPT=547 LEN=60",
    ),
]
TIME = "[2024-Feb-20 07:59:16.845663]"


@pytest.mark.parametrize(("frame", "text"), WORKED, ids=["TCP", "ARP", "tagged", "IPv6"])
@pytest.mark.usefixtures("utc")
def test_worked_line_comes_out_of_a_datagram_byte_for_byte(
    bed: Bed, frame: bytes, text: str
) -> None:
    [drop] = bed.drops(drop_log(frame))
    label = "Acc-SEC_GROUP_IN_TABLE MISS"
    assert f"{TIME} [info] [ryu_droplog] {label} {text}" == line.full(drop)
    assert f"{TIME} {label} {text}" == line.redirected(drop)
    assert f"{label} {text}" == line.bare(drop)


@pytest.mark.parametrize("reason", REASON)
@pytest.mark.usefixtures("utc")
def test_line_has_policy_and_tenants_in_their_places(bed: Bed, reason: int) -> None:
    bed.logs.learn_opflex_names(OpflexNames({7: "rule"}, {10: "red"}))
    datagram = header(number(0, 10), number(2, 11), record(12, reason, COOKIE), vni=INT) + syn()
    [drop] = bed.drops(datagram)
    policy = " rule" if reason else ""
    label = f"Int-POL_TABLE {REASON[reason]}{policy} STID=red DTID=N/A"
    assert f"{TIME} {label} {WORKED[0][1]}" == line.redirected(drop)


@pytest.mark.usefixtures("utc")
def test_datagram_without_a_whole_frame_is_a_truncated_line(bed: Bed) -> None:
    drops = bed.drops(drop_log(b""), drop_log(syn()[:20]))
    texts = [
        "Acc-SEC_GROUP_IN_TABLE MISS  TRUNCATED",
        "Acc-SEC_GROUP_IN_TABLE MISS  SMAC=00:22:bd:f8:19:ff DMAC=0a:58:0a:02:00:c3 ETYP=IPv4"
        " TRUNCATED",
    ]
    assert [f"{TIME} {text}" for text in texts] == [line.redirected(drop) for drop in drops]
    assert 2 == bed.books.truncated


def test_every_datagram_is_counted_once(bed: Bed) -> None:
    good, stranger = drop_log(), header(number(0, 1)) + syn()
    bed.drops(good, b"", stranger, drop_log(vni=7), good[:20], drop_log(table_id=256), good)
    row = total(bed.books, bed.log.of("geneve")[0])
    assert (3, 1) == (bed.books.malformed, bed.books.unrecognised)
    assert [6, 3, 3, 0] == [row[name] for name in ("received", "logged", "failed", "waiting")]
    assert 1 == bed.books.unnamed
    assert 1 == len(bed.chain.complaints)


def test_senders_are_the_two_bridges_and_all_others() -> None:
    expected = {
        1: Sender("br-int", None, PIPELINES["opflex-int"]),
        2: Sender("br-access", None, PIPELINES["opflex-access"]),
        0: Sender("geneve", "", PIPELINES["auto"]),
    }
    assert expected == senders(PIPELINES, {})
