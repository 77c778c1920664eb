"""Text of others, made fit for a line, a log, a terminal and a status answer.

Names and messages come from a switch, from OVSDB and OVN's southbound database, from files of the
OpFlex agent, from the Kubernetes API and from whoever connects. Each passes `printable` where it
enters the program, or `word` where it stands in a line between spaces; nothing behind needs to
think of it again. `plain` is the second line of defence, at the log and at the terminal.
Pure, and cheap where there is nothing to do.
"""

from __future__ import annotations

import re
from typing import Any

NAME = 255
"""Characters of a name that are shown at most: OVSDB names no limit, Kubernetes has 253."""
MESSAGE = 500
"""Characters of an error message of others that are shown at most."""
CUT = "..."
"""Stands in place of what was too long; ASCII, as drop lines are."""

_SEPARATORS = re.compile('[ ="]')


def printable(text: str, limit: int = NAME) -> str:
    r"""`text` on one line, with nothing in it that a terminal obeys or that hides.

    What str.isprintable refuses is escaped as Python writes it (`\n`, `\x1b`, `\u202e`): control
    characters, line ends of all kinds, bidirectional and zero-width formatting, spaces but the
    ASCII one, lone surrogates, private and unassigned characters. Everything else stays, a
    backslash too. Of a result of more than `limit` characters the first are kept, with `CUT`
    behind them. The result can be encoded as UTF-8, and passes again unchanged.
    """
    return _cut(escape(text[: limit + 1]), limit)


def word(text: str, limit: int = NAME) -> str:
    r"""`printable`, as one word: spaces, `=` and `"` are escaped, too (`\x20`).

    For names that stand in a drop line without quotes, where a space would end them, and `SRC=`
    would read like a field of the packet.
    """
    return _cut(_SEPARATORS.sub(_hexadecimal, escape(text[: limit + 1])), limit)


def escape(text: str) -> str:
    """`printable`, of any length."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def plain(text: str) -> str:
    r"""`escape`, but for `\n`: text of several lines stays that."""
    return text if text.isprintable() else "\n".join(map(escape, text.split("\n")))


def plain_data(data: Any) -> Any:
    """Data as JSON has it, with every text in it, keys too, on one line: see `escape`."""
    if isinstance(data, str):
        return escape(data)
    if isinstance(data, list):
        return [plain_data(value) for value in data]
    if isinstance(data, dict):
        return {plain_data(key): plain_data(value) for key, value in data.items()}
    return data


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[:limit] + CUT


def _hexadecimal(found: re.Match[str]) -> str:
    return f"\\x{ord(found[0]):02x}"
