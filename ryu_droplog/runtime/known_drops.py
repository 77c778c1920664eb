"""The baseline of the running program: follows its file, and outlives what is wrong in it."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator

from ryu_droplog.model.errors import DropLogError
from ryu_droplog.records import baseline_file
from ryu_droplog.records.acknowledged import Baseline

LOOK = 0.5
"""Seconds between two looks at the file."""

_Seen = tuple[int, int, int]


class KnownDrops:
    """Looks at the file when it is asked for notices. For one thread."""

    def __init__(self) -> None:
        self.baseline = Baseline()
        """What holds: of a broken file, what it said before."""
        self._path: str | None = None
        self._seen: _Seen | None = None
        self._next_look = 0.0
        self._notices: deque[str] = deque(maxlen=10)

    def follow(self, path: str | None) -> None:
        """Take what this file says from now on, and look at it at once; None: nothing is known."""
        if path != self._path:
            self._path, self._seen = path, None
            self.baseline.use({})
        self._look_at_file()

    def look(self) -> Iterator[str]:
        """See whether the file has changed; what the user should know of it, each once."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK
            self._look_at_file()
        while self._notices:
            yield self._notices.popleft()

    def _look_at_file(self) -> None:
        path = self._path
        if path is None:
            return
        seen: _Seen | None = None
        try:
            found = os.stat(path)
            seen = found.st_mtime_ns, found.st_size, found.st_ino
        except OSError:
            pass
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self.baseline.use(baseline_file.read(path))
        except DropLogError as error:
            self._notices.append(f"baseline: {error}; what it said before holds")
