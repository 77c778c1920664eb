"""Files of others that a source looks at again and again: read where they have changed.

Whatever stands there, nothing waits for it, and no more than a bound is read.
"""

from __future__ import annotations

import os
import stat
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from ryu_droplog.identity.base import IdentitySource, SourceContext
from ryu_droplog.identity.statement import Statement
from ryu_droplog.model.errors import why
from ryu_droplog.text.phrases import count
from ryu_droplog.text.printable import printable

T = TypeVar("T")

FILES = 10_000
"""Files of a directory that count; the first ones by name."""
SIZE = 1 << 20
"""Bytes of a file at most."""
_Stamp = tuple[int, int, int, int]


class Unreadable(Exception):
    """What cannot be read; the text says why."""


class Missing(Unreadable):
    """What is not there."""


class Folder(Generic[T]):
    """The files of a directory with one ending, and what is made of each."""

    def __init__(self, path: str, ending: str, make: Callable[[bytes], T]) -> None:
        """`make` raises ValueError for what is no such file."""
        self._path = path
        self._ending = ending
        self._make = make
        self._seen: dict[str, _Stamp] = {}
        self._made: dict[str, T] = {}
        self._wrong: dict[str, str] = {}

    def look(self) -> Mapping[str, T] | None:
        """What is made of each file, by its name; None: nothing has changed.

        Of a file that is wrong what it said before stays, as somebody may be writing it. Raises
        Missing where the directory is not there, and Unreadable where it cannot be read.
        """
        found = self._scan()
        changed = [name for name, stamp in found.items() if stamp != self._seen.get(name)]
        gone = self._seen.keys() - found.keys()
        for name in gone:
            self._made.pop(name, None)
            self._wrong.pop(name, None)
        for name in changed:
            try:
                self._made[name] = self._make(read(f"{self._path}/{name}"))
                self._wrong.pop(name, None)
            except (Unreadable, ValueError, RecursionError) as error:
                self._wrong[name] = str(error)
        self._seen = found
        return dict(self._made) if changed or gone else None

    def trouble(self) -> str:
        """What of the files is wrong; empty: nothing."""
        if not self._wrong:
            return ""
        name, reason = next(iter(sorted(self._wrong.items())))
        others = len(self._wrong) - 1
        more = f", and {count(others, 'other file')}" if others else ""
        return f"{printable(f'{self._path}/{name}')}: {printable(reason)}{more}"

    def _scan(self) -> dict[str, _Stamp]:
        try:
            with os.scandir(self._path) as entries:
                names = [
                    entry.name
                    for entry in entries
                    if entry.name.endswith(self._ending) and not entry.name.startswith(".")
                ]
        except OSError as error:
            reason = f"{printable(self._path)}: {why(error)}"
            if isinstance(error, (FileNotFoundError, NotADirectoryError)):
                self._seen, self._made, self._wrong = {}, {}, {}
                raise Missing(reason) from error
            raise Unreadable(reason) from error
        found = {}
        for name in sorted(names)[:FILES]:
            try:
                status = os.stat(f"{self._path}/{name}")
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode):
                found[name] = stamp(status)
        return found


def stamp(status: os.stat_result) -> _Stamp:
    """What a change of a file changes."""
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def read(path: str) -> bytes:
    """All of a regular file; raises Unreadable."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Unreadable("it is no regular file")
            data = b""
            while len(data) <= SIZE and (part := os.read(descriptor, SIZE + 1 - len(data))):
                data += part
        finally:
            os.close(descriptor)
    except OSError as error:
        raise Unreadable(why(error)) from error
    if len(data) > SIZE:
        raise Unreadable(f"it has more than {SIZE} bytes")
    return data


class FolderSource(IdentitySource):
    """A source whose place is a directory of files, each of which says something of some ends."""

    ENDING: ClassVar[str]
    """Of the names of its files."""

    def __init__(self, place: Any, context: SourceContext) -> None:
        super().__init__(place, context)
        self._folder = Folder(place, self.ENDING, self.parse)

    @staticmethod
    @abstractmethod
    def parse(data: bytes) -> Sequence[Statement]:
        """What a file says; raises ValueError where it is no such file."""

    def look(self) -> None:
        """Read the files that have changed."""
        try:
            found = self._folder.look()
        except Unreadable as error:
            self.trouble = str(error)
            if isinstance(error, Missing):
                self.tell({})
            return
        if found is not None:
            self.tell(
                {
                    (name, number): statement
                    for name, statements in found.items()
                    for number, statement in enumerate(statements)
                }
            )
        self.trouble = self._folder.trouble()
