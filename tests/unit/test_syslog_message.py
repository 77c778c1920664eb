"""RFC 5424: what every message is, read back by the grammar of its section 6."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from frames import ARP, IPV6, arp, ethernet, ipv6, udp
from record_drops import FLOW, HOSTILE, dropped, place

from ryu_droplog.model.drop import Drop
from ryu_droplog.records.context import Encode, explain_nothing
from ryu_droplog.sinks.syslog_facilities import FACILITIES, LONGEST, SMALLEST
from ryu_droplog.sinks.syslog_message import (
    SD_ID,
    Origin,
    SyslogMessages,
    octet_counted,
    parameter,
)

_HEADER = re.compile(
    r"<(?P<priority>[0-9]{1,3})>1 (?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{1,6}Z)"
    r" (?P<host>[!-~]{1,255}) (?P<application>[!-~]{1,48}) (?P<process>[!-~]{1,128})"
    r" (?P<id>[!-~]{1,32}) \[(?P<sd_id>[!#-<>-\\^-~]{1,32})"
)
_PARAMETER = re.compile(r' ([!#-<>-\\^-~]{1,32})="((?:[^"\\\]]|\\.)*)"', re.DOTALL)


@dataclass
class Message:
    """A message in its parts."""

    fields: dict[str, str]
    data: dict[str, str]
    text: str


def read(message: bytes) -> Message:
    """Parse it; raises AssertionError where it is none."""
    text = message.decode()
    header = _HEADER.match(text)
    assert header is not None, text
    data, position = {}, header.end()
    while (pair := _PARAMETER.match(text, position)) is not None:
        data[pair[1]] = re.sub(r'\\(["\\\]])', r"\1", pair[2])
        position = pair.end()
    assert text[position : position + 2] == "] ", text[position:]
    return Message(header.groupdict(), data, text[position + 2 :])


def line(drop: Drop) -> bytes:
    """Stands for an encoding."""
    return b"dropped"


def written(
    drop: Drop,
    encode: Encode = line,
    told: Mapping[str, str | int] | None = None,
    limit: int = 8192,
    host: str = "node-1",
) -> bytes:
    """The message of a drop."""
    explain = (lambda drop: told) if told is not None else explain_nothing
    return SyslogMessages(Origin(host, 42), encode, explain, limit).message(drop)


def test_message_has_all_fields_of_a_tcp_drop() -> None:
    message = read(written(dropped(location=place("DENY", FLOW, "no-http")), told={"port": "vm-1"}))
    assert message.fields == {
        "priority": "28",  # daemon, warning
        "time": "2025-11-24T16:00:00.250000Z",
        "host": "node-1",
        "application": "ryu_droplog",
        "process": "42",
        "id": "DENY",
        "sd_id": SD_ID,
    }
    assert message.data == {
        "bridge": "br-int",
        "table": "SEC_GROUP_IN_TABLE",
        "table_id": "4",
        "drop_reason": "Acc-SEC_GROUP_IN_TABLE DENY no-http",
        "policy": "no-http",
        "flow_cookie": "0xda8bef6a",
        "flow_priority": "2000",
        "flow_match": "tcp,tp_dst=80",
        "flow_stage": "ls_out_acl",
        "flow_acl": "no-http",
        "in_port": "3",
        "smac": "00:22:bd:f8:19:ff",
        "dmac": "0a:58:0a:02:00:c3",
        "src": "10.2.0.229",
        "dst": "10.2.0.195",
        "protocol": "TCP",
        "sport": "42934",
        "dport": "80",
        "port": "vm-1",
    }
    assert message.text == "dropped"


def test_permitted_packet_is_informational() -> None:
    assert read(written(dropped(location=place("PERMIT")))).fields["priority"] == "30"


def test_facility_is_the_one_asked_for() -> None:
    for name, number in FACILITIES.items():
        messages = SyslogMessages(Origin("node-1", 42, name), line, explain_nothing, 8192)
        assert read(messages.message(dropped())).fields["priority"] == str(8 * number + 4)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (ethernet(ARP, arp("10.9.9.1", "10.9.9.2")), {"src": "10.9.9.1", "dst": "10.9.9.2"}),
        (
            ethernet(IPV6, ipv6("fd00::1", "fd00::2", 17, udp(1, 53))),
            {"src": "fd00::1", "dst": "fd00::2", "protocol": "UDP", "sport": "1", "dport": "53"},
        ),
        (
            ethernet(IPV6, ipv6("fd00::1", "fd00::2", 58)),
            {"src": "fd00::1", "dst": "fd00::2", "protocol": "58"},
        ),
        (ethernet(0x88CC), {}),
    ],
)
def test_packets_have_what_their_headers_say(frame: bytes, expected: dict[str, str]) -> None:
    data = read(written(dropped(frame))).data
    keys = ("src", "dst", "protocol", "sport", "dport")
    assert {key: data[key] for key in keys if key in data} == expected


def test_frame_that_is_cut_has_a_message_at_any_length() -> None:
    frame = dropped().frame
    for length in range(len(frame)):
        assert read(written(dropped(frame[:length]))).text == "dropped"


def test_repeats_are_told() -> None:
    drop = dropped()
    drop.repeated = 7
    assert read(written(drop)).data["repeated"] == "7"


def test_hostile_names_break_nothing() -> None:
    location = place(table=HOSTILE, bridge=HOSTILE, policy=HOSTILE, reason=HOSTILE)
    message = read(written(dropped(location=location), told={HOSTILE: HOSTILE}, host=HOSTILE))
    shown = '\\x1b[2J\\u202e"}\\n\\u2028\u732b\U0001f408\\ud800\\\\x7f'
    assert message.data["bridge"] == message.data["table"] == shown
    assert message.data["_[2J__}_____\\_"] == shown
    assert message.text == "dropped"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('a "b" \\ ]', r' n="a \"b\" \\ \]"'),
        ("", ' n=""'),
        (0, ' n="0"'),
        ("\u00fcber\n", ' n="\u00fcber\\\\n"'),
        ("x" * 300, f' n="{"x" * 255}..."'),
    ],
)
def test_values_are_escaped_as_section_6_3_3_says(value: object, expected: str) -> None:
    assert expected == parameter("n", value)


@pytest.mark.parametrize(
    ("name", "expected"), [('a=b ]"c', "a_b___c"), ("", "_"), ("x" * 40, "x" * 32)]
)
def test_names_are_names(name: str, expected: str) -> None:
    assert f' {expected}="1"' == parameter(name, 1)


def test_host_without_a_name_is_nil() -> None:
    assert read(written(dropped(), host="")).fields["host"] == "-"


@pytest.mark.parametrize("limit", [SMALLEST, 500, 8192, LONGEST])
def test_message_that_is_too_long_is_cut_and_says_so(limit: int) -> None:
    made = written(dropped(), lambda drop: b"x" * 100_000, limit=limit)
    message = read(made)
    assert len(made) == limit
    assert message.data["truncated"] == "100000"
    assert set(message.text) == {"x"}


def test_message_just_within_the_limit_is_whole() -> None:
    whole = written(dropped())
    assert written(dropped(), limit=len(whole)) == whole
    assert read(written(dropped(), lambda drop: b"dropped!", limit=len(whole) + 1)).text[-1] == "!"


def test_structured_data_that_takes_all_the_room_is_left_out() -> None:
    location = place(table="t" * 250, bridge="b" * 250)
    made = written(dropped(location=location), limit=SMALLEST, host="h" * 255)
    message = read(made)
    assert len(made) <= SMALLEST
    assert (message.data, message.text) == ({"truncated": "7"}, "dropped")


def test_text_is_never_cut_within_a_character() -> None:
    for limit in range(600, 608):
        made = written(dropped(), lambda drop: "\u732b".encode() * 300, limit=limit)
        assert set(read(made).text) == {"\u732b"}
        assert limit - 3 < len(made) <= limit


def test_stream_has_octet_counts() -> None:
    assert octet_counted("\u00fc".encode()) == b"2 \xc3\xbc"
