"""The files that rotation has made of one: `drop.log.1`, the newest, `drop.log.2.gz` and so on.

They are called as logrotate calls them. Whoever renames or removes one holds `lock`, which all
sinks of the program with the same path share: while a configuration is reloaded there may be two.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

COMPRESSED = ".gz"

_LOCKS: dict[Path, Any] = {}


class Archives:
    """What became of the former contents of a path."""

    def __init__(self, path: Path, files: int, threads: ModuleType) -> None:
        """`files` are kept at most, from 1; `threads` is `threading` as eventlet found it."""
        self.path = path
        self.files = files
        self.lock: Any = _LOCKS.setdefault(path, threads.RLock())
        self._numbered = re.compile(re.escape(path.name) + r"\.([1-9][0-9]{0,8})(\.gz)?")

    def at(self, number: int, suffix: str = "") -> Path:
        """Where the archive of that number is; `suffix` is empty or `COMPRESSED`."""
        return self.path.with_name(f"{self.path.name}.{number}{suffix}")

    def suffixes(self) -> dict[int, list[str]]:
        """The archives that are there: how the names of each number end. Raises OSError."""
        there: dict[int, list[str]] = {}
        for name in os.listdir(self.path.parent):
            match = self._numbered.fullmatch(name)
            if match is not None:
                there.setdefault(int(match[1]), []).append(match[2] or "")
        return there

    def take(self, identity: tuple[int, int]) -> bool:
        """Make the file at the path archive number 1; older ones move on, or go.

        False, and nothing is done, where another file than `identity` (device, inode) is there by
        now, or a symbolic link, which is not ours to move. Raises OSError.

        Each step is a rename, so that an end in the middle loses nothing: it leaves a number free,
        which the next rotation fills.
        """
        with self.lock:
            there = os.lstat(self.path)
            if (there.st_dev, there.st_ino) != identity:
                return False
            self._make_room()
            os.rename(self.path, self.at(1))
            return True

    def _make_room(self) -> None:
        """Leave number 1 free, and as many archives as there may be beside it."""
        there = self.suffixes()
        free = next(number for number in range(1, len(there) + 2) if number not in there)
        free = min(free, self.files)
        for number in sorted(there, reverse=True):
            if number > self.files or number == free:
                for suffix in there[number]:
                    os.unlink(self.at(number, suffix))
        for number in range(free - 1, 0, -1):
            for suffix in there[number]:
                os.rename(self.at(number, suffix), self.at(number + 1, suffix))

    @contextmanager
    def locked(self) -> Iterator[dict[int, list[str]]]:
        """What is there (see `suffixes`), and stays so inside the block."""
        with self.lock:
            yield self.suffixes()
