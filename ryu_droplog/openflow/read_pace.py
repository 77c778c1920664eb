"""When the reader rests: where the switch has room for what comes meanwhile, one read takes more.

Without a rest the thread wakes for nearly every PacketIn, and the switch's for waking it.
"""

from __future__ import annotations

REST = 0.005
"""Seconds of a rest. At 60,000 PacketIns a second 300 come meanwhile, and 8 MiB hold 20,000."""
STEADY = 2 * REST
"""Seconds between two reads up to which PacketIns are said to keep coming."""


class ReadPace:
    """Of one connection. Pure: the time is an argument."""

    def __init__(self) -> None:
        self._last = -STEADY

    def rest(self, now: float, *, packet_ins_only: bool, full: bool, asked: bool) -> float:
        """Seconds to rest after a read at `now` (monotonic); 0: read on.

        It rests only while PacketIns and nothing else keep coming. `full`: the read took as much as
        one may, so that more waits; `asked`: somebody waits for an answer over this connection.
        """
        steady = now - self._last < STEADY
        self._last = now
        return REST if packet_ins_only and steady and not full and not asked else 0.0
