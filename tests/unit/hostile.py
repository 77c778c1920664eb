"""Names that somebody chose to fool a log, a terminal, or who reads them."""

from __future__ import annotations

import re

NAMES = {
    "line end": "a\nb",
    "a whole line": "x\n[2024-Feb-20 07:59:16.845663] [info] [ryu_droplog] T MISS  SRC=6.6.6.6",
    "carriage return": "a\rb",
    "clear screen": "\x1b[2J\x1b[Ha",
    "hyperlink": "\x1b]8;;http://example.com\x1b\\a\x1b]8;;\x1b\\",
    "window title": "\x1b]0;a\x07",
    "C1 control sequence": "a\x9b2Jb",
    "next line": "a\x85b",
    "right to left": "a\u202eb",
    "isolate": "a\u2066b\u2069",
    "line separator": "a\u2028b\u2029c",
    "zero width": "a\u200b\ufeff\u00adb",
    "tags": "a\U000e0041\U000e0042",
    "NUL": "a\0b",
    "DEL": "a\x7fb",
    "tab and form feed": "a\tb\x0bc\x0c",
    "lone surrogates": "a\ud800b\udfff",
    "private and unassigned": "a\ue000\U0010fffd\u0378",
    "spaces that are none": "a\u00a0SRC\u3000b\u2003c",
    "long": "a" * 10_000,
    "long and hostile": "\x1b\n\u202e" * 4_000,
    "a field": "SRC=6.6.6.6",
    "fields": "a  SRC=6.6.6.6 DST=6.6.6.6",
    "fields behind a quote": 'a" SRC=6.6.6.6 "',
    "fields behind an escaped quote": 'a\\" SRC=6.6.6.6 \\',
    "backslashes": "a\\nb\\",
    "formats": "%s%n%(message)s{}{0.__class__}",
    "markup": "<script>'`$(id)`",
    "nothing": "",
    "spaces": "   ",
}

_QUOTED = re.compile(r'="(?:[^"\\]|\\.)*"')
_FORGED = re.compile(r"(?:^|[ =])(?:SRC|DST)=6\.6\.6\.6")


def check(text: str, *, lines: int | None = 1) -> None:
    """The text has so many lines, and nothing in it that a terminal obeys; None: any number."""
    assert text == text.encode().decode()
    found = text.split("\n")
    assert lines is None or len(found) == lines
    assert found == [line for line in found if line.isprintable()]
    assert len(text) < 20_000


def check_fields(line: str) -> None:
    """Whoever reads `KEY=value` from the line, with its JSON strings, reads no forged address."""
    check(line)
    assert not _FORGED.search(_QUOTED.sub("", line))
