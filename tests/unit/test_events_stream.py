"""The stream of packet events: arrays back to back, split anywhere, and nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from ryu_droplog.k8s_events.stream import (
    MAX_ARRAY,
    MAX_FIELD,
    PacketEvent,
    StreamError,
    StreamReader,
    parse_time,
)

DOCUMENTED = (
    b'{"TimeStamp":"Tue Feb 20 07:59:16 UTC 2024","DropReason":"Acc-SEC_GROUP_IN_TABLE MISS",'
    b'"SourceMac":"00:22:bd:f8:19:ff","DestinationMac":"0a:58:0a:02:00:c3","EtherType":"IPv4",'
    b'"SourceIP":"10.2.0.229","DestinationIP":"10.2.0.195","IPProto":"TCP","SourcePort":"42934",'
    b'"DestinationPort":"80"}'
)
EVENT = PacketEvent(
    "Tue Feb 20 07:59:16 UTC 2024",
    "Acc-SEC_GROUP_IN_TABLE MISS",
    "00:22:bd:f8:19:ff",
    "0a:58:0a:02:00:c3",
    "IPv4",
    "10.2.0.229",
    "10.2.0.195",
    "TCP",
    "42934",
    "80",
)
TWENTIETH = 1708415956.0
"""2024-02-20 07:59:16 UTC."""


def reason(text: str) -> bytes:
    return json.dumps([{"DropReason": text}]).encode()


def test_array_of_the_exporter_is_read_whole() -> None:
    assert [EVENT, EVENT] == StreamReader().feed(b"[%b,%b]" % (DOCUMENTED, DOCUMENTED))


def test_arrays_back_to_back_are_read_at_every_split() -> None:
    """In two parts, cut at every place."""
    awkward = 'a"]}[{\\ \u00e4\U0001f600'
    stream = b"[%b]" % DOCUMENTED + b"[]" + reason(awkward) + b"\n \t[{}]"
    expected = [EVENT, PacketEvent(drop_reason=awkward), PacketEvent()]
    for cut in range(len(stream) + 1):
        reader = StreamReader()
        assert expected == reader.feed(stream[:cut]) + reader.feed(stream[cut:])
        assert not reader.unfinished


def test_arrays_byte_by_byte_are_read() -> None:
    stream = b"[%b]" % DOCUMENTED + reason("\\")
    reader = StreamReader()
    found = [event for byte in stream for event in reader.feed(bytes((byte,)))]
    assert [EVENT, PacketEvent(drop_reason="\\")] == found


def test_reader_knows_whether_an_array_has_begun() -> None:
    reader = StreamReader()
    states = []
    for part in (b" ", b"[", b'{"DropReason":"', b']"', b"}", b"]", b""):
        reader.feed(part)
        states.append(reader.unfinished)
    assert [False, True, True, True, True, False, False] == states


def test_unknown_keys_are_ignored_and_missing_ones_are_empty() -> None:
    text = b'[{"EtherType":"ARP","Other":{"a":[1,null,"]"]},"Number":1}]'
    assert [PacketEvent(ether_type="ARP")] == StreamReader().feed(text)


@pytest.mark.parametrize(
    "text",
    [
        b"{}", b"1", b'"a"', b"null", b"]", b"x", b"\x00", b"[1]", b"[x", b"[,", b"[[", b"[}",
        b"[{]", b"[{]}", b"[{}}", b"[{},]", b"[{} {}]", b'["a"]', b"[null]", b"[{}]]", b"[{}],[{}]",
        b'[{"SourceIP":1}]', b'[{"SourceIP":null}]', b'[{"SourceIP":["a"]}]', b'[{SourceIP:"a"}]',
        b'[{"SourceIP":"\xff"}]', b'[{"SourceIP":"\n"}]', b"[{}]\xef\xbb\xbf[{}]",
        b'[{"a":%b1%b}]' % (b"[" * 5000, b"]" * 5000),
        b'[{"SourceIP":"%b"}]' % (b"a" * (MAX_FIELD + 1)),
    ],
    ids=lambda text: repr(text[:20]),
)  # fmt: skip
def test_anything_else_raises_the_declared_error(text: bytes) -> None:
    with pytest.raises(StreamError):
        StreamReader().feed(text)


def test_array_that_does_not_end_is_an_error_once_it_is_too_long() -> None:
    reader = StreamReader()
    reader.feed(b'[{"Other":"')
    part = b"a" * 65536
    for _ in range(MAX_ARRAY // len(part) - 1):
        reader.feed(part)
    with pytest.raises(StreamError, match=f"more than {MAX_ARRAY} bytes"):
        reader.feed(part)


def test_array_of_the_greatest_length_is_read() -> None:
    text = b'[{"Other":"'
    text += b"a" * (MAX_ARRAY - len(text) - 3) + b'"}]'
    assert [PacketEvent(), PacketEvent()] == StreamReader().feed(text + text)


def test_arrays_before_a_mistake_are_not_lost() -> None:
    with pytest.raises(StreamError) as caught:
        StreamReader().feed(reason("a") + reason("b") + b"garbage")
    assert [PacketEvent(drop_reason="a"), PacketEvent(drop_reason="b")] == caught.value.events


@pytest.fixture
def vienna(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("vienna")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tue Feb 20 07:59:16 UTC 2024", TWENTIETH),
        ("Tue Feb 20 07:59:16 GMT 2024", TWENTIETH),
        ("Tue Feb 20 08:59:16 CET 2024", TWENTIETH),
        ("Sat Jul  6 10:00:00 CEST 2024", 1720252800.0),
        ("Sat Jul 6 10:00:00 CEST 2024", 1720252800.0),
        ("Sat Jul 06 10:00:00 CEST 2024", 1720252800.0),
        ("Thu Feb 29 00:00:00 UTC 2024", 1709164800.0),
        ("Sat Dec 31 23:59:60 UTC 2016", 1483228800.0),
        ("Thu Jan  1 00:00:00 UTC 1970", 0.0),
    ],
)
def test_time_in_a_known_zone_is_understood(text: str, expected: float) -> None:
    assert expected == parse_time(text)


@pytest.mark.usefixtures("vienna")
@pytest.mark.parametrize(
    "text",
    [
        "", " ", "2024-02-20T07:59:16Z", "1708415956", "Tue Feb 20 07:59:16 2024",
        "Tue Feb 20 07:59:16 PST 2024", "Tue Feb 20 07:59:16 cet 2024",
        "Thu Feb 30 07:59:16 UTC 2024", "Tue Feb 29 07:59:16 UTC 2023",
        "Tue Feb 20 24:59:16 UTC 2024", "Tue Feb 20 07:60:16 UTC 2024",
        "Tue Feb 20 07:59:61 UTC 2024", "Tue Feb 00 07:59:16 UTC 2024",
        "Tue Feb 20 07:59:16 UTC 0000", "Tue Feb 20 07:59:16 UTC 2024\n",
        "Tue Feb 20 07:59:16 UTC \u0662\u0660\u0662\u0664", "Di Feb 20 07:59:16 UTC 2024",
        "Tue Feb  20 07:59:16 UTC 2024", "Tue Feb 20 07:59:16 UTC 2024 x",
    ],
)  # fmt: skip
def test_time_that_could_be_any_is_none(text: str) -> None:
    assert parse_time(text) is None


@pytest.mark.usefixtures("vienna")
def test_time_that_strftime_writes_is_understood() -> None:
    for seconds in range(1_700_000_000, 1_735_000_000, 86_400 * 5):
        text = time.strftime("%a %b %d %H:%M:%S %Z %Y", time.localtime(seconds))
        assert seconds == parse_time(text)


def test_zone_whose_names_are_the_same_all_year_is_understood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As Australia's eastern states once wrote theirs."""
    with monkeypatch.context() as context:
        context.setenv("TZ", "EST-10EST,M10.1.0,M4.1.0/3")
        time.tzset()
        found = [parse_time(f"Tue {day} 12:00:00 EST 2024") for day in ("Jan  2", "Jul  2")]
    time.tzset()
    assert [1704157200.0, 1719885600.0] == found
