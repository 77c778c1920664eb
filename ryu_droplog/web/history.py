"""Packets counted over the last half hour, in steps of some seconds. Pure: the clock is given."""

from __future__ import annotations

STEP = 10
"""Seconds of a step."""
STEPS = 180
"""Steps that are remembered."""
CURVE = 30
"""Steps of the small curve of a signature."""


def step_of(seconds: float) -> int:
    """The number of the step that a time is in; `seconds` since the epoch."""
    return int(seconds // STEP)


class Span:
    """From one step to another, both included; what is left open has no end there."""

    __slots__ = ("first", "last")

    def __init__(self, first: int | None = None, last: int | None = None) -> None:
        self.first = first
        self.last = last

    def bounds(self, now: int) -> tuple[int, int]:
        """The first and the last step of it that are remembered, where `now` is the current one."""
        oldest = now - STEPS + 1
        first = oldest if self.first is None else max(self.first, oldest)
        last = now if self.last is None else min(self.last, now)
        return first, last


class Counts:
    """Packets by step; what is older than the oldest step is forgotten."""

    __slots__ = ("_by_step",)

    def __init__(self) -> None:
        self._by_step: dict[int, int] = {}

    def add(self, step: int, packets: int) -> None:
        """Count packets of a step."""
        by_step = self._by_step
        by_step[step] = by_step.get(step, 0) + packets
        if len(by_step) > STEPS:
            self.forget(max(by_step) - STEPS + 1)

    def merge(self, other: Counts) -> None:
        """Count what another has counted."""
        for step, packets in other._by_step.items():
            self.add(step, packets)

    def copy(self) -> Counts:
        """Another with the same counts."""
        made = Counts()
        made._by_step = dict(self._by_step)
        return made

    def forget(self, oldest: int) -> None:
        """Forget what is before that step."""
        if any(step < oldest for step in self._by_step):
            self._by_step = {s: n for s, n in self._by_step.items() if s >= oldest}

    def total(self, first: int, last: int) -> int:
        """Packets from one step to another, both included."""
        return sum(n for step, n in self._by_step.items() if first <= step <= last)

    def list(self, now: int, steps: int = STEPS) -> list[int]:
        """Packets of the last so many steps, the oldest first; the last one is `now`."""
        get = self._by_step.get
        return [get(step, 0) for step in range(now - steps + 1, now + 1)]

    def rate(self, now: float) -> float:
        """Packets a second, of the step that has begun and the one before it."""
        step = step_of(now)
        packets = self._by_step.get(step, 0) + self._by_step.get(step - 1, 0)
        return packets / (STEP + now - step * STEP)
