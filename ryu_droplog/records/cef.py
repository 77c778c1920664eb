"""The encoding `cef`: ArcSight's Common Event Format, version 0 (revision 25).

Keys and their meaning by its Event Interoperability Standard; docs/record.md has the table.
"""

from __future__ import annotations

from collections.abc import Mapping

from ryu_droplog import __version__
from ryu_droplog.model.drop import Drop
from ryu_droplog.packet.deep.walk import NONE, Walk
from ryu_droplog.records import names
from ryu_droplog.records.context import Encode, EncoderContext
from ryu_droplog.records.maker import RecordMaker
from ryu_droplog.records.record import Record
from ryu_droplog.records.times import milliseconds
from ryu_droplog.text.printable import printable

DROPPED, PERMITTED = 5, 1
"""Severities, of 0 (lowest) to 10."""
_HEADER_LENGTH = 512  # characters of a name, revision 25, "Name"
_VALUE_LENGTH = 1023  # characters of an extension's value, the shortest bound that most keys have
_DIRECTIONS: Mapping[str, str] = {"ingress": "0", "egress": "1"}


def encoder(context: EncoderContext) -> Encode:
    """Common Event Format, one line a drop."""
    maker = RecordMaker(context)

    def encode(drop: Drop) -> bytes:
        record, walk = maker.make(drop)
        pairs = _extension(record, walk, drop)
        extension = " ".join(f"{key}={_value(value)}" for key, value in pairs.items() if value)
        permitted = record.reason == names.PERMIT
        head = "|".join(
            (
                "CEF:0",
                names.VENDOR,
                names.PRODUCT,
                __version__,
                _header(record.reason),
                _header(record.drop_reason),
                str(PERMITTED if permitted else DROPPED),
            )
        )
        return f"{head}|{extension}".encode()

    return encode


def _extension(record: Record, walk: Walk, drop: Drop) -> dict[str, str]:
    rule, port, vlans = record.rule, record.port, record.packet.vlans
    now = str(milliseconds(drop.time))
    pairs = {
        "rt": now,
        "dvchost": record.node,
        "act": "permitted" if record.reason == names.PERMIT else "dropped",
        "reason": record.cause,
        "cnt": str(record.repeated or 1),
        "proto": names.transport(walk).upper() or _number(walk.protocol),
        "deviceDirection": _DIRECTIONS.get(record.direction, ""),
        "deviceInboundInterface": "" if port is None else port.name or str(port.number),
        "externalId": record.signature,
        **_ends(record),
        **_labelled("cs1", "bridge", record.bridge),
        **_labelled("cs2", "table", record.table.name),
        **_labelled("cs5", "communityId", record.community_id),
        **_labelled("cs6", "problem", record.problem),
        **_labelled("cn1", "tableId", str(record.table.id)),
    }
    if rule is not None:
        pairs |= _labelled("cs3", "rule", rule.name or rule.match)
        pairs |= _labelled("cs4", "cookie", rule.cookie)
    if port is not None:
        pairs |= _labelled("cn2", "inPort", str(port.number))
    if vlans:
        pairs |= _labelled("cn3", "vlan", str(vlans[0].id))
    if record.repeated:
        pairs |= {"start": str(milliseconds(drop.first_time or drop.time)), "end": now}
    pairs["msg"] = names.summary(record, walk)
    return pairs


def _ends(record: Record) -> dict[str, str]:
    """`src` and `dst` take IPv4 alone; IPv6 has custom fields that are reserved for it."""
    pairs = {}
    ends = (("s", "c6a2", "Source"), ("d", "c6a3", "Destination"))
    for (letter, custom, side), end in zip(ends, (record.source, record.destination), strict=True):
        if end is None:
            continue
        pairs[f"{letter}mac"] = end.mac
        if ":" in end.ip:
            pairs |= _labelled(custom, f"{side} IPv6 Address", end.ip)
        else:
            pairs["src" if letter == "s" else "dst"] = end.ip
        if end.port is not None:
            pairs[f"{letter}pt"] = str(end.port)
        pairs[f"{letter}host"] = names.host(end)
    return pairs


def _labelled(key: str, label: str, value: str) -> dict[str, str]:
    return {f"{key}Label": label, key: value} if value else {}


def _number(number: int) -> str:
    return "" if number == NONE else str(number)


def _ascii(text: str, limit: int) -> str:
    if text.isascii() and text.isprintable() and len(text) <= limit:
        return text
    return printable(text, limit).encode("ascii", "backslashreplace").decode("ascii")


def _header(text: str) -> str:
    return _ascii(text, _HEADER_LENGTH).replace("\\", r"\\").replace("|", r"\|")


def _value(text: str) -> str:
    return _ascii(text, _VALUE_LENGTH).replace("\\", r"\\").replace("=", r"\=")
