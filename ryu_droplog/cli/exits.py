"""Exit statuses of `status`, `doctor`, `plan` and `clean`: one rule (docs/commands.md)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class Exit(IntEnum):
    """How a command ended."""

    WELL = 0
    """All is well."""
    ATTENTION = 1
    """Something is not well, or not everybody could be asked."""
    USAGE = 2
    """The configuration or the command line is wrong."""
    UNREACHED = 3
    """Nobody could be asked."""


RULE = (
    "Exit status: 0 all is well, 1 something is not, 2 the configuration or the command line is"
    " wrong, 3 {nobody}."
)
"""For `--help`; `nobody` says what it is that could not be asked."""
NO_PROGRAM = RULE.format(nobody="no running program could be asked")
NO_BRIDGE = RULE.format(nobody="no named bridge could be reached")


def overall(outcomes: Iterable[Exit]) -> Exit:
    """The exit status of a command from how it ended for each that it was to ask."""
    distinct = set(outcomes)
    if distinct <= {Exit.UNREACHED}:
        return Exit.UNREACHED
    return Exit.WELL if distinct == {Exit.WELL} else Exit.ATTENTION
