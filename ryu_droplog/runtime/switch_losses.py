"""What each Open vSwitch of this host says it lost itself, read aside: nothing waits for it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ryu_droplog.concurrency.background_question import BackgroundQuestion
from ryu_droplog.model.errors import SwitchError
from ryu_droplog.ovsdb.overflow import CAUSES, Overflow, read_overflow
from ryu_droplog.text.phrases import count, duration

INTERVAL = 10.0
"""Seconds between two readings."""
WHOSE = "of all its bridges and controllers"


class _Switch:
    """One ovs-vswitchd after the other, with one run directory."""

    def __init__(
        self, rundir: str, read: Callable[[str], Overflow], clock: Callable[[], float]
    ) -> None:
        self._rundir = rundir
        self._read = read
        self._clock = clock
        self._question = BackgroundQuestion(self._ask)
        self._asked = -math.inf
        self._read_at = 0.0
        self._overflow: Overflow | None = None
        self._new = dict.fromkeys(CAUSES, 0)
        """Since the first reading."""
        self._reported = dict(self._new)
        self._error: str | None = None

    def tend(self) -> None:
        """Have it read again when it is time; never waits."""
        if self._clock() - self._asked >= INTERVAL:
            self._asked = self._clock()
            self._question.ask()

    def stop(self) -> None:
        self._question.stop()

    def state(self) -> dict[str, Any]:
        """For `status`: see docs/commands.md."""
        overflow = self._overflow
        return {
            "process": overflow.process if overflow else None,
            "lost": dict(overflow.messages) if overflow else None,
            "new": dict(self._new),
            "seconds": round(self._clock() - self._read_at, 1) if overflow else None,
            "error": self._error,
        }

    def report(self) -> str | None:
        """What it has lost since the last report, in a line; None: nothing."""
        now = dict(self._new)
        grown = {name: now[name] - self._reported[name] for name in CAUSES}
        self._reported = now
        if not any(grown.values()):
            return None
        lost = count(sum(grown.values()), "PacketIn")
        return f"Open vSwitch in {self._rundir} lost {lost} {WHOSE}: {_by_cause(grown)}"

    def _ask(self) -> None:
        try:
            overflow = self._read(self._rundir)
        except SwitchError as error:
            self._error = str(error)
            return
        before = self._overflow
        if before is not None:
            same = before.process == overflow.process
            for name, messages in overflow.messages.items():
                self._new[name] += max(messages - before.messages[name] * same, 0)
        self._overflow, self._error, self._read_at = overflow, None, self._clock()


class SwitchLosses:
    """All of them, by their run directories."""

    def __init__(
        self,
        read: Callable[[str], Overflow] = read_overflow,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`read` may take seconds, and raises SwitchError."""
        self._read = read
        self._clock = clock
        self._switches: dict[str, _Switch] = {}

    def watch(self, rundirs: Iterable[str]) -> None:
        """Read those from now on, and no others; an empty one is of no switch on this host."""
        wanted = dict.fromkeys(filter(None, rundirs))
        for rundir in [rundir for rundir in self._switches if rundir not in wanted]:
            self._switches.pop(rundir).stop()
        for rundir in wanted:
            if rundir not in self._switches:
                self._switches[rundir] = _Switch(rundir, self._read, self._clock)

    def tend(self) -> None:
        """Have what is old read again; to be called a few times a second; never waits."""
        for switch in self._switches.values():
            switch.tend()

    def stop(self) -> None:
        """Read nothing more."""
        for switch in self._switches.values():
            switch.stop()

    def state(self) -> dict[str, Any]:
        """For `status`, by run directory, as it was last read."""
        return {rundir: switch.state() for rundir, switch in self._switches.items()}

    def reports(self) -> Iterator[str]:
        """What each has lost since the last report, a line each."""
        for switch in self._switches.values():
            line = switch.report()
            if line is not None:
                yield line


def as_lines(switches: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What `status` prints of `SwitchLosses.state`, below the books."""
    for rundir, state in switches.items():
        if state["lost"] is not None:
            when = f"{duration(state['seconds'])} ago"
            yield (
                f"Open vSwitch in {rundir} has lost PacketIns {WHOSE}, since it started, as of"
                f" {when}: {_by_cause(state['lost'])}"
            )
        if state["error"] is not None:
            yield f"Open vSwitch in {rundir} cannot be asked what it lost: {state['error']}"


def _by_cause(lost: Mapping[str, int]) -> str:
    return ", ".join(f"{lost[name]} {cause} ({name})" for name, cause in CAUSES.items())
