"""The encoding `cef`, read back by the rules of its standard."""

from __future__ import annotations

import re

import pytest
from frames import ARP, IPV4, IPV6, QTAG, arp, ethernet, ipv4, ipv6, tcp, udp, vlan
from record_drops import FLOW, HOSTILE, TIME, context, dropped, place

from ryu_droplog import __version__
from ryu_droplog.model.drop import Drop
from ryu_droplog.records.cef import encoder

_KEY = re.compile(r"(?:^| )([A-Za-z0-9]+)=")


def read(line: bytes) -> tuple[list[str], dict[str, str]]:
    """The fields of the header, and the extension by its keys."""
    parts = re.split(r"(?<!\\)(?:\\\\)*\|", line.decode("ascii"), maxsplit=7)
    assert len(parts) == 8
    header = [part.replace(r"\|", "|").replace("\\\\", "\\") for part in parts[:7]]
    found = [match for match in _KEY.finditer(parts[7]) if parts[7][match.end() - 2] != "\\"]
    ends = [match.start() for match in found[1:]] + [len(parts[7])]
    extension = {
        match[1]: parts[7][match.end() : end].replace(r"\=", "=").replace("\\\\", "\\")
        for match, end in zip(found, ends, strict=True)
    }
    return header, extension


def written(drop: Drop, **told: str | int) -> tuple[list[str], dict[str, str]]:
    """The line of a drop, read back."""
    line = encoder(context(explain=lambda drop: told))(drop)
    assert b"\n" not in line
    return read(line)


def test_event_has_what_is_known() -> None:
    drop = dropped(location=place("DENY", FLOW, "no-http"))
    header, extension = written(drop, direction="ingress")
    assert header == [
        "CEF:0",
        "ryu_droplog",
        "ryu_droplog",
        __version__,
        "DENY",
        "Acc-SEC_GROUP_IN_TABLE DENY no-http",
        "5",
    ]
    for key in ("externalId", "cs5", "cs6"):
        assert extension.pop(key).startswith("1:")
    assert extension == {
        "rt": str(int(TIME * 1000)),
        "dvchost": "node-1",
        "act": "dropped",
        "reason": "no rule allows it",
        "cnt": "1",
        "proto": "TCP",
        "deviceDirection": "0",
        "deviceInboundInterface": "tap3",
        "smac": "00:22:bd:f8:19:ff",
        "dmac": "0a:58:0a:02:00:c3",
        "src": "10.2.0.229",
        "dst": "10.2.0.195",
        "spt": "42934",
        "dpt": "80",
        "cs1Label": "bridge",
        "cs1": "br-int",
        "cs2Label": "table",
        "cs2": "SEC_GROUP_IN_TABLE",
        "cs3Label": "rule",
        "cs3": "no-http",
        "cs4Label": "cookie",
        "cs4": "0xda8bef6a",
        "cs5Label": "communityId",
        "cs6Label": "problem",
        "cn1Label": "tableId",
        "cn1": "4",
        "cn2Label": "inPort",
        "cn2": "3",
        "msg": "Acc-SEC_GROUP_IN_TABLE DENY no-http: tcp from 10.2.0.229:42934 to 10.2.0.195:80",
    }


def test_ipv6_has_the_fields_that_are_reserved_for_it() -> None:
    packet = ipv6("fd00::1", "fd00::2", 17, udp(1, 53))
    _, extension = written(dropped(ethernet(IPV6, packet)))
    assert extension["c6a2Label"] == "Source IPv6 Address"
    assert extension["c6a2"] == "fd00::1"
    assert extension["c6a3Label"] == "Destination IPv6 Address"
    assert extension["c6a3"] == "fd00::2"
    assert {"src", "dst"} & extension.keys() == set()


def test_permitted_repeated_tagged_and_unnamed_are_told() -> None:
    drop = dropped(ethernet(QTAG, vlan(7, IPV4), ipv4("10.0.0.1", "10.0.0.2", 200)))
    drop.repeated, drop.first_time = 5, TIME - 9
    _, extension = written(drop)
    assert (extension["cnt"], extension["cn3"], extension["proto"]) == ("5", "7", "200")
    assert extension["end"] == extension["rt"]
    assert int(extension["end"]) - int(extension["start"]) == 9000
    header, extension = written(
        dropped(ethernet(ARP, arp("10.9.9.1", "10.9.9.2")), place("PERMIT"))
    )
    assert (header[6], extension["act"], "proto" in extension) == ("1", "permitted", False)


@pytest.mark.parametrize("name", ["a|b=c\\d", "\u00fc", "new\nline", HOSTILE, "|" * 600])
def test_hostile_names_break_nothing(name: str) -> None:
    location = place(table=name, bridge=name, policy=name, reason="DENY")
    header, extension = written(dropped(location=location))
    assert len(header) == 7
    assert header[4] == "DENY"
    assert extension["cs2Label"] == "table"
    assert extension["cs3Label"] == "rule"
    assert extension["cs1"] == extension["cs2"] == extension["cs3"]


def test_frame_that_is_cut_is_a_line_at_any_length() -> None:
    frame = ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 6, tcp(1, 2)))
    for length in range(len(frame)):
        header, _ = written(dropped(frame[:length]))
        assert header[0] == "CEF:0"
