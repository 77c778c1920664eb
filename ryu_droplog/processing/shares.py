"""Drops counted by table: what chains and sinks add to their books, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ryu_droplog.model.drop import Drop
from ryu_droplog.model.location import TableKey


class Share(NamedTuple):
    """Successive drops of one table, or one drop that stands for its repeats."""

    key: TableKey
    drops: int
    """How many records."""
    repeated: int = 0
    """0, or how many packets the one record stands for."""
    summarised: bool = False
    """Whether these are packets that the switch counted and did not send."""

    @property
    def packets(self) -> int:
        """How many packets."""
        return self.repeated or self.drops


def shares(drops: Iterable[Drop]) -> list[Share]:
    """The drops, in their order, by table."""
    by_table: list[Share] = []
    location, number = None, 0
    for drop in drops:
        if drop.repeated or drop.location is not location:
            if location is not None and number:
                by_table.append(Share(location.key, number))
            location, number = drop.location, 0
            if drop.repeated:
                by_table.append(Share(location.key, 1, drop.repeated, drop.summarised))
                continue
        number += 1
    if location is not None and number:
        by_table.append(Share(location.key, number))
    return by_table


def divide(by_table: Sequence[Share], first: int) -> tuple[list[Share], list[Share]]:
    """The shares of the first so many drops, and those of the rest."""
    ahead: list[Share] = []
    behind: list[Share] = []
    for share in by_table:
        if first >= share.drops:
            ahead.append(share)
        elif first <= 0:
            behind.append(share)
        else:
            ahead.append(share._replace(drops=first))
            behind.append(share._replace(drops=share.drops - first))
        first -= share.drops
    return ahead, behind
