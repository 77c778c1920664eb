"""The drops of some seconds as one message: counts by signature, however many there are.

Pure: time comes with the drops.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from ryu_droplog.model.drop import Drop
from ryu_droplog.model.location import TableKey
from ryu_droplog.processing.shares import Share
from ryu_droplog.records.json_text import to_json
from ryu_droplog.records.times import rfc3339

VERSION = 1
"""Of the message."""
TRACKED = 10_000
"""Signatures that are counted apart; the packets of more are counted together."""


class _Kind(Struct, gc=False):
    """The drops of one signature."""

    sample: Drop
    """The first."""
    packets: int
    first: float
    last: float


class Window:
    """What has come since the last message."""

    def __init__(self) -> None:
        self.records = 0
        """Drops, of which one that stands for repeats is one."""
        self._kinds: dict[bytes, _Kind] = {}
        self._untracked = 0
        self._first, self._last = float("inf"), 0.0
        self._shares: dict[tuple[TableKey, bool, bool], Share] = {}

    def add(self, signature: bytes, drop: Drop) -> None:
        """Count a drop."""
        packets, last = drop.repeated or 1, drop.time
        first = drop.first_time or last
        self._first, self._last = min(self._first, first), max(self._last, last)
        kind = self._kinds.get(signature)
        if kind is not None:
            kind.packets += packets
            kind.first, kind.last = min(kind.first, first), max(kind.last, last)
        elif len(self._kinds) < TRACKED:
            self._kinds[signature] = _Kind(drop, packets, first, last)
        else:
            self._untracked += packets

    def count(self, by_table: Sequence[Share]) -> None:
        """What the drops are in the books."""
        for share in by_table:
            key = share.key, bool(share.repeated), share.summarised
            there = self._shares.get(key)
            if there is not None:
                share = there._replace(
                    drops=there.drops + share.drops, repeated=there.repeated + share.repeated
                )
            self._shares[key] = share
        self.records += sum(share.drops for share in by_table)

    @property
    def by_table(self) -> list[Share]:
        """All that was counted: three shares for each table at most."""
        return list(self._shares.values())

    def message(self, node: str, listed: int, spell: Callable[[Drop], bytes]) -> bytes:
        """The payload of the notification, as JSON; `listed` signatures, `spell` encodes one."""
        kinds = sorted(self._kinds.items(), key=lambda item: -item[1].packets)
        rest = kinds[listed:]
        payload: dict[str, Any] = {
            "version": VERSION,
            "node": node,
            "first_time": rfc3339(self._first),
            "last_time": rfc3339(self._last),
            "packets": sum(kind.packets for _, kind in kinds) + self._untracked,
            "drops": [
                {
                    "signature": signature.decode("ascii"),
                    "packets": kind.packets,
                    "first_time": rfc3339(kind.first),
                    "last_time": rfc3339(kind.last),
                    "record": _read(spell(kind.sample)),
                }
                for signature, kind in kinds[:listed]
            ],
            "others": {
                "packets": sum(kind.packets for _, kind in rest) + self._untracked,
                "signatures": len(rest),
                "more_signatures": bool(self._untracked),
            },
        }
        return to_json(payload)


def _read(line: bytes) -> Any:
    """A record as data, a line as text."""
    return json.loads(line) if line.startswith(b"{") else line.decode("ascii")
