"""The one rule of exit statuses."""

from __future__ import annotations

import pytest

from ryu_droplog.cli.exits import Exit, overall

WELL, ATTENTION, UNREACHED = Exit.WELL, Exit.ATTENTION, Exit.UNREACHED


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([], 3),
        ([UNREACHED], 3),
        ([UNREACHED, UNREACHED], 3),
        ([WELL], 0),
        ([WELL, WELL], 0),
        ([ATTENTION], 1),
        ([WELL, ATTENTION], 1),
        ([WELL, UNREACHED], 1),
        ([UNREACHED, ATTENTION], 1),
        ([UNREACHED, ATTENTION, WELL], 1),
    ],
)
def test_one_that_was_asked_keeps_the_status_from_being_nobody(
    outcomes: list[Exit], expected: int
) -> None:
    assert expected == overall(outcomes)
