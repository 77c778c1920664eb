"""How `observe` writes records: one function an output, by its name."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ryu_droplog.observe.aggregate import Aggregate
from ryu_droplog.observe.drop_of_record import drop_of
from ryu_droplog.observe.shown import end_text, name_of, port_of, protocol_of, rule_of
from ryu_droplog.records import hubble
from ryu_droplog.records.json_text import to_json
from ryu_droplog.records.record import Record
from ryu_droplog.sinks import line
from ryu_droplog.sinks.formats import text_format
from ryu_droplog.text.printable import plain, printable, word

Colour = Callable[[str, str], str]
"""(text, name of a colour of click's) -> the text in that colour, or as it is."""


class Style(NamedTuple):
    """How the parts of a record are written."""

    time: Callable[[str], str]
    """Of `moments.TIME_FORMATS`."""
    colour: Colour


class Output(NamedTuple):
    """One way to write records."""

    show: Callable[[Record, Style], str]
    """A record without the end of its last line."""
    head: str = ""
    """Stands before the first one; empty: nothing."""


def _compact(record: Record, style: Style) -> str:
    reason = style.colour(record.reason, "green" if record.reason == "PERMIT" else "red")
    text = (
        f"{style.time(record.time)}: {word(record.bridge)}:"
        f" {style.colour(end_text(record.source), 'cyan')} ->"
        f" {style.colour(end_text(record.destination), 'cyan')}"
        f" table {record.table.id} {word(record.table.name)} {reason}"
    )
    rule = rule_of(record)
    text += f" by {rule}" if rule else ""
    text += f" ({protocol_of(record)})"
    port = port_of(record)
    text += f" in {port}" if port else ""
    text += f" {record.repeated} times" if record.repeated else ""
    return text + (" [acknowledged]" if record.acknowledged is not None else "")


def _dict(record: Record, style: Style) -> str:
    rows = [
        ("TIMESTAMP", style.time(record.time)),
        ("NODE", word(record.node)),
        ("BRIDGE", word(record.bridge)),
        ("SOURCE", style.colour(end_text(record.source), "cyan")),
        ("DESTINATION", style.colour(end_text(record.destination), "cyan")),
        ("PROTOCOL", protocol_of(record)),
        ("INTERFACE", port_of(record)),
        ("DIRECTION", record.direction),
        ("TABLE", f"{record.table.id} {word(record.table.name)}"),
        ("REASON", style.colour(record.reason, "red")),
        ("RULE", rule_of(record)),
        ("CAUSE", plain(record.cause)),
        ("NETWORK", _networks(record)),
        ("REPEATED", str(record.repeated or "")),
        ("SIGNATURE", record.signature),
        ("PROBLEM", record.problem),
        ("ACKNOWLEDGED", _acknowledged(record)),
    ]
    return "\n".join([*(f"{key:>12}: {value}" for key, value in rows if value), "------------"])


def _acknowledged(record: Record) -> str:
    known = record.acknowledged
    if known is None:
        return ""
    return printable(f"{known.reason} (until {known.until})" if known.until else known.reason)


def _networks(record: Record) -> str:
    ends = (record.source, record.destination)
    names = [end.identity.network for end in ends if end is not None and end.identity is not None]
    return ", ".join(dict.fromkeys(word(name) for name in names if name))


_COLUMNS = "{:<24} {:<10} {:<40} {:<40} {:<28} {:<7} {}"


def _tab(record: Record, style: Style) -> str:
    source, destination = end_text(record.source), end_text(record.destination)
    table = word(record.table.name)
    return _COLUMNS.format(
        style.time(record.time),
        word(record.bridge),
        source,
        destination,
        table,
        record.reason,
        protocol_of(record),
    )


def _json(record: Record, style: Style) -> str:
    return to_json(record).decode("ascii")


def _jsonpb(record: Record, style: Style) -> str:
    return hubble.of_record(record).decode("ascii")


def _opflex(record: Record, style: Style) -> str:
    return _ascii(line.redirected(drop_of(record)))


def _extended(record: Record, style: Style) -> str:
    drop = drop_of(record)
    form = text_format("extended", lambda drop: record.owner)
    text = form.redirected(drop)
    for key, end in (("SRC_NAME", record.source), ("DST_NAME", record.destination)):
        name = name_of(end)
        text += f" {key}={name}" if name else ""
    return _ascii(text)


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode("ascii")


OUTPUTS: dict[str, Output] = {
    "compact": Output(_compact),
    "dict": Output(_dict),
    "json": Output(_json),
    "jsonpb": Output(_jsonpb),
    "opflex": Output(_opflex),
    "extended": Output(_extended),
    "tab": Output(
        _tab,
        _COLUMNS.format(
            "TIMESTAMP", "BRIDGE", "SOURCE", "DESTINATION", "TABLE", "REASON", "PROTOCOL"
        ),
    ),
}
"""By name, as `--output` has them."""
MACHINE = frozenset(("json", "jsonpb"))
"""Those that programs read: a line that tells of losses would be none of theirs."""


def table_of(aggregate: Aggregate, style: Style) -> str:
    """The groups as a table with a line each."""
    head = [*(field.upper() for field in aggregate.fields), "PACKETS", "FIRST", "LAST"]
    rows = [
        [*group.values, str(group.packets), style.time(group.first), style.time(group.last)]
        for group in aggregate.groups()
    ]
    return _aligned([head, *rows])


def lines_of(aggregate: Aggregate) -> str:
    """The groups as JSON, an object a line."""
    return "\n".join(
        json.dumps(
            {
                **dict(zip(aggregate.fields, group.values, strict=True)),
                "packets": group.packets,
                "first": group.first,
                "last": group.last,
            }
        )
        for group in aggregate.groups()
    )


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
