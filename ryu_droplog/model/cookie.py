"""The cookie of a flow that this program adds, drawn once.

    63  62  61    48 47        32 31            8 7      0
    +---+---+-------+------------+---------------+--------+
    | 0 | D | slot  |   0xd407   |  generation   | table  |
    +---+---+-------+------------+---------------+--------+

D is the table-drop bit that operators of the OpFlex agent look for (`ovs-ofctl dump-flows br-int
cookie=0x4000000000000000/0x4000000000000000`). On a bridge that the agent itself manages it stays
0, because there that bit marks the agent's own flows. Slot 0 is the flow that sees what the table
misses; those up to `CAPTURE_SLOT_MAX` are above an explicit drop each; the others are summary
flows, which drop the packets of one signature without telling. A generation is one run of the
program (its upper 16 bits) and one addition of a flow to the slot (its lower 8).
"""

from __future__ import annotations

import random
from typing import NamedTuple

TABLE_DROP = 1 << 62
"""Bit 62, the OpFlex agent's table-drop cookie (opflex-agent, lib/include FlowConstants)."""
SIGNATURE = 0xD407
"""What tells our flows from everyone else's; also our controller id (NXT_SET_CONTROLLER_ID)."""
NOTE = SIGNATURE.to_bytes(2, "big") + b"drop"
"""What a summary flow holds in its only action (NXAST_NOTE), and so is known for ours by."""
GENERATION_MAX = (1 << 24) - 1
ADDITION_MASK = 0xFF
"""The low bits of a generation: how often a flow was added to the slot in this run, modulo 256."""
SLOT_MAX = (1 << 14) - 1
SUMMARY_SLOT = SLOT_MAX + 1 - (1 << 10)
"""The first slot of summary flows; all that follow are theirs, too."""
CAPTURE_SLOT_MAX = SUMMARY_SLOT - 1
ALL_BITS = (1 << 64) - 1

_SIGNATURE_SHIFT = 32
_GENERATION_SHIFT = 8
_SLOT_SHIFT = 48
FAMILY = SIGNATURE << _SIGNATURE_SHIFT
FAMILY_MASK = 1 << 63 | 0xFFFF << _SIGNATURE_SHIFT
"""Every bit but D, slot, generation and table: `cookie & FAMILY_MASK == FAMILY` in all of ours.

One cookie of 131,072 that others make at random has this too; a flow of ours is known by the
controller id or the note in its action besides.
"""


class Cookie(NamedTuple):
    """The parts of one of our cookies."""

    table_drop: bool
    generation: int
    """0 to `GENERATION_MAX`."""
    table_id: int
    """0 to 254."""
    slot: int = 0
    """0 to `SLOT_MAX`."""

    def pack(self) -> int:
        """The 64-bit number that stands in the flow."""
        drop = TABLE_DROP if self.table_drop else 0
        place = self.slot << _SLOT_SHIFT | self.table_id
        return drop | FAMILY | self.generation << _GENERATION_SHIFT | place


def unpack(cookie: int) -> Cookie | None:
    """Read a 64-bit cookie; None when it is not one of ours."""
    if cookie & FAMILY_MASK != FAMILY:
        return None
    generation = cookie >> _GENERATION_SHIFT & GENERATION_MAX
    slot = cookie >> _SLOT_SHIFT & SLOT_MAX
    return Cookie(bool(cookie & TABLE_DROP), generation, cookie & 0xFF, slot)


def new_run() -> int:
    """A generation for a new run, without additions."""
    return random.randrange(ADDITION_MASK + 1, GENERATION_MAX + 1) & ~ADDITION_MASK


def run_of(cookie: int) -> int | None:
    """The generation, without additions, of the run that a 64-bit cookie is of; None: not ours."""
    parts = unpack(cookie)
    return None if parts is None else parts.generation & ~ADDITION_MASK


def generation_text(run: int) -> str:
    """A run as messages name it: its generation, as it stands in the cookies of its flows."""
    return f"generation {run:#08x}"


def is_summary(cookie: int) -> bool:
    """Whether a 64-bit cookie is one of ours, and a summary flow's."""
    parts = unpack(cookie)
    return parts is not None and parts.slot >= SUMMARY_SLOT


def of_run(cookie: int, generation: int) -> bool:
    """Whether a 64-bit cookie is one of ours, and of the run that has this generation."""
    parts = unpack(cookie)
    return parts is not None and not (parts.generation ^ generation) & ~ADDITION_MASK
