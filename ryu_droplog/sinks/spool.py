"""A spool: chunks of encoded drops on disk until their receiver has acknowledged them.

A SQLite database in WAL mode. What `append` has returned for is committed: it survives kill -9 and,
because it is synchronised to the disk, a loss of power. One process, and one sink in it, has a
spool open at a time; the lock is that of a file beside it (flock(2)).

A file that is no sound spool of this version is renamed, so that it can be looked at, and a new
one is begun.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
import uuid
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ryu_droplog.processing.shares import Share

VERSION = 1
"""Of the layout below, as `PRAGMA user_version` has it."""
APPLICATION = 0x52594450
"""`PRAGMA application_id` of a spool."""
DIRECTORY_MODE = 0o750
FILE_MODE = 0o640
ROW_COST = 200
"""Bytes that a chunk is taken to need beside its drops."""
VACUUM_PAGES = 1024
"""Free pages of the file, of 4096 bytes, from which on some are given back."""

_LAYOUT = """
CREATE TABLE chunk (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    run TEXT NOT NULL,
    time REAL NOT NULL,
    drops INTEGER NOT NULL,
    packets INTEGER NOT NULL,
    size INTEGER NOT NULL,
    sent INTEGER NOT NULL DEFAULT 0,
    checksum INTEGER NOT NULL,
    shares BLOB NOT NULL,
    items BLOB NOT NULL
)
"""
_HEAD = "number, id, run, time, sent, drops, packets, size, shares"
_LAST = 2**63 - 1
_SIDE_FILES = ("-wal", "-shm")


class _StoredShare(msgspec.Struct, array_like=True):
    """A share in the database; only one that is summarised has the last element."""

    source: str
    table: int
    drops: int
    repeated: int
    summarised: bool = False


_encode = msgspec.msgpack.encode
_decode_shares = msgspec.msgpack.Decoder(list[_StoredShare]).decode
_decode_items = msgspec.msgpack.Decoder(list[Any]).decode


def _stored(share: Share) -> tuple[object, ...]:
    stored = (*share.key, share.drops, share.repeated)
    return (*stored, True) if share.summarised else stored


class SpoolInUse(OSError):
    """Another process, or another sink of this one, has the spool open."""


class SpoolDamaged(Exception):
    """The spool that is open cannot be read or written any more: to be closed and opened again."""


class Kept(NamedTuple):
    """A chunk in the spool, without its drops."""

    number: int
    """Greater than that of all chunks that came before."""
    id: str
    """The same whenever it is sent, and of no other chunk."""
    time: float
    """When it came, in seconds since the epoch."""
    shares: list[Share]
    is_recovered: bool
    """Whether it was there when the spool was opened."""
    is_sent: bool
    """Whether it was sent before."""
    drops: int
    packets: int
    size: int


def pack(items: Sequence[Any]) -> bytes:
    """The drops of a chunk, each what msgpack has: bytes, text, numbers, lists of them."""
    return _encode(items)


class Spool:
    """The chunks, in the order in which they came. Not for several threads at once."""

    def __init__(self, path: Path, limit: int, age: float, clock: Callable[[], float]) -> None:
        """Open the spool, or begin one.

        `limit` is in bytes, `age` in seconds, `clock` gives seconds since the epoch. Raises
        SpoolInUse, and OSError where the directory or the file cannot be made.
        """
        self.path = path
        self.set_aside: list[str] = []
        """What was found and could not be used, in words."""
        self._limit = limit
        self.age = age
        self._clock = clock
        self._run = uuid.uuid4().hex
        self._synchronous = ""
        path.parent.mkdir(DIRECTORY_MODE, parents=True, exist_ok=True)
        self._lock = _lock(path)
        try:
            self._database = self._open_sound()
        except BaseException:
            os.close(self._lock)
            raise
        self.drops, self.packets, self.size = self._measure()

    # What a sink does

    def append(self, data: bytes, shares: Sequence[Share]) -> Kept:
        """Commit a chunk, of which `pack` made the data.

        Raises OSError where it cannot be written, and SpoolDamaged.
        """
        counted = [_stored(share) for share in shares]
        drops = sum(share.drops for share in shares)
        packets = sum(share.packets for share in shares)
        size = len(data) + ROW_COST
        id = uuid.uuid4().hex
        row = (id, self._run, self._clock(), drops, packets, size)
        try:
            self._synchronise("FULL")
            with self._database:
                number = self._database.execute(
                    "INSERT INTO chunk (id, run, time, drops, packets, size, checksum, shares,"
                    " items) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (*row, zlib.crc32(data), _encode(counted), data),
                ).lastrowid
        except sqlite3.Error as error:
            raise _reason(error) from error
        self._add(drops, packets, size)
        return Kept(number or 0, id, row[2], list(shares), False, False, drops, packets, size)

    def has_room(self, data: bytes) -> bool:
        """Whether these fit within the limit."""
        return self.size + len(data) + ROW_COST <= self._limit

    def oldest(self, *, but: int = 0, until: int = _LAST) -> Kept | None:
        """The chunk that came first, but for number `but` and those behind number `until`.

        None: there is none. Raises SpoolDamaged.
        """
        return next(iter(self._select("number <= ? AND number != ?", until, but, "LIMIT 1")), None)

    def newest(self) -> int:
        """Number of the chunk that came last; 0: there is none. Raises SpoolDamaged."""
        try:
            row = self._database.execute("SELECT coalesce(max(number), 0) FROM chunk").fetchone()
        except sqlite3.Error as error:
            raise SpoolDamaged(str(error)) from error
        return int(row[0])

    def expired(self, *, but: int = 0) -> list[Kept]:
        """The chunks that have waited for too long, but for number `but`. Raises SpoolDamaged.

        Age is by the time of day, for it has to hold over restarts.
        """
        return self._select("time < ? AND number != ?", self._clock() - self.age, but)

    def items(self, kept: Kept) -> list[Any] | None:
        """The drops of a chunk; None where its bytes are not those that were written.

        Raises SpoolDamaged.
        """
        try:
            row = self._database.execute(
                "SELECT checksum, items FROM chunk WHERE number = ?", (kept.number,)
            ).fetchone()
        except sqlite3.Error as error:
            raise SpoolDamaged(str(error)) from error
        if row is None or zlib.crc32(row[1]) != row[0]:
            return None
        return _decode_items(row[1])

    def mark_sent(self, kept: Kept) -> None:
        """Note that the chunk is about to be sent for the first time. Raises as `append`."""
        self._change("UPDATE chunk SET sent = 1 WHERE number = ?", kept)

    def remove(self, kept: Kept) -> None:
        """The chunk need not be kept any more. Raises as `append`."""
        self._change("DELETE FROM chunk WHERE number = ?", kept)
        self._add(-kept.drops, -kept.packets, -kept.size)
        if not self.drops:
            self._shrink()

    def close(self) -> None:
        """Let go of the file; what is in it stays."""
        with suppress(sqlite3.Error):
            self._database.close()
        os.close(self._lock)

    # How it is done

    def _select(self, where: str, first: float, second: int, end: str = "") -> list[Kept]:
        try:
            rows = self._database.execute(
                f"SELECT {_HEAD} FROM chunk WHERE {where} ORDER BY number {end}", (first, second)
            ).fetchall()
            return [self._kept(row) for row in rows]
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            raise SpoolDamaged(str(error)) from error

    def _synchronise(self, how: str) -> None:
        """Whether a commit waits for the disk: FULL, or NORMAL where kill -9 is all it is to
        survive."""
        if how != self._synchronous:
            self._database.execute(f"PRAGMA synchronous = {how}")
            self._synchronous = how

    def _change(self, statement: str, kept: Kept) -> None:
        try:
            self._synchronise("NORMAL")
            with self._database:
                self._database.execute(statement, (kept.number,))
        except sqlite3.Error as error:
            raise _reason(error) from error

    def _add(self, drops: int, packets: int, size: int) -> None:
        self.drops += drops
        self.packets += packets
        self.size += size

    def _kept(self, row: Sequence[Any]) -> Kept:
        number, id, run, time, sent, drops, packets, size, shares = row
        by_table = [
            Share((stored.source, stored.table), stored.drops, stored.repeated, stored.summarised)
            for stored in _decode_shares(shares)
        ]
        return Kept(number, id, time, by_table, run != self._run, bool(sent), drops, packets, size)

    def _shrink(self) -> None:
        """Give the room of what was removed back to the file system, where it is much."""
        with suppress(sqlite3.Error):  # it is tried again
            if self._database.execute("PRAGMA freelist_count").fetchone()[0] > VACUUM_PAGES:
                self._database.executescript("PRAGMA incremental_vacuum")  # all of its steps

    def _measure(self) -> tuple[int, int, int]:
        drops, packets, size = self._database.execute(
            "SELECT coalesce(sum(drops), 0), coalesce(sum(packets), 0), coalesce(sum(size), 0)"
            " FROM chunk"
        ).fetchone()
        return drops, packets, size

    def _open_sound(self) -> sqlite3.Connection:
        try:
            return self._open()
        except _Unusable as error:
            self._move_away(str(error))
            return self._open()

    def _open(self) -> sqlite3.Connection:
        """Raises _Unusable for a file that is no sound spool."""
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, FILE_MODE))
        database = sqlite3.connect(self.path, check_same_thread=False, timeout=30.0)
        try:
            _check(database)
            database.execute("PRAGMA journal_size_limit = 16777216")
        except sqlite3.OperationalError as error:
            database.close()
            if _is_damage(error):
                raise _Unusable(f"is damaged ({error})") from error
            raise OSError(f"{self.path}: {error}") from error
        except sqlite3.DatabaseError as error:
            database.close()
            raise _Unusable(f"is damaged ({error})") from error
        except BaseException:
            database.close()
            raise
        return database

    def _move_away(self, why: str) -> None:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock()))
        aside = self.path.with_name(f"{self.path.name}.set-aside-{stamp}-{uuid.uuid4().hex[:8]}")
        self.path.rename(aside)
        for end in _SIDE_FILES:
            with suppress(FileNotFoundError):
                os.rename(f"{self.path}{end}", f"{aside}{end}")
        self.set_aside.append(f"the spool {self.path} {why}; set aside as {aside.name}")


class _Unusable(Exception):
    """Why a file cannot be used as a spool."""


def _check(database: sqlite3.Connection) -> None:
    """Make an empty file a spool, and look at all of one that is there."""
    version = database.execute("PRAGMA user_version").fetchone()[0]
    application = database.execute("PRAGMA application_id").fetchone()[0]
    tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if not (version or application or tables):
        database.execute("PRAGMA auto_vacuum = INCREMENTAL")
        database.execute("PRAGMA journal_mode = WAL").fetchone()
        with database:
            database.execute("BEGIN")
            database.execute(_LAYOUT)
            database.execute(f"PRAGMA application_id = {APPLICATION}")
            database.execute(f"PRAGMA user_version = {VERSION}")
        return
    if application != APPLICATION:
        raise _Unusable("is no spool of this program")
    if version != VERSION:
        raise _Unusable(f"is of version {version}; this program has version {VERSION}")
    [(answer,), *_] = database.execute("PRAGMA quick_check(1)").fetchall()
    if answer != "ok":
        raise _Unusable(f"is damaged ({' '.join(str(answer).split())})")
    database.execute("PRAGMA journal_mode = WAL").fetchone()
    for row in database.execute("SELECT shares FROM chunk"):
        try:
            _decode_shares(row[0])
        except msgspec.MsgspecError as error:
            raise _Unusable(f"is damaged ({error})") from error


def _lock(path: Path) -> int:
    descriptor = os.open(f"{path}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise SpoolInUse(f"the spool {path} is in use") from None
    return descriptor


_DAMAGE = ("malformed", "not a database", "corrupt", "no such table", "no such column", "disk I/O")


def _is_damage(error: sqlite3.Error) -> bool:
    return any(words in str(error) for words in _DAMAGE)


def _reason(error: sqlite3.Error) -> Exception:
    """What a failed change means: the disk's trouble, which may pass, or the file's."""
    if isinstance(error, sqlite3.OperationalError) and not _is_damage(error):
        return OSError(f"the spool: {error}")
    return SpoolDamaged(str(error))
