"""The OpFlex agent's control files in one directory, looked at again and again.

A file is read when it is new or has changed. One that is wrong is refused with its reason, and what
it said before stays.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections import deque
from typing import Generic, TypeVar

import msgspec

from ryu_droplog.config import opflex_file
from ryu_droplog.config.capture_spec import FlowSpec
from ryu_droplog.config.opflex_file import DropLog, Parse, Wrong
from ryu_droplog.model.errors import why
from ryu_droplog.text.phrases import were
from ryu_droplog.text.printable import escape, printable

T = TypeVar("T")
_F = TypeVar("_F", bound="_File")

MAX_FILES = 1000
"""Files of one kind that count; the first ones by name."""
MAX_SIZE = 1 << 20
"""Bytes of a file."""
MAX_NOTICES = 1000

_DROP_LOG, _FLOW = ".droplogcfg", ".dropflowcfg"
_SETTLED = 100_000_000
"""Nanoseconds after which another change has another time stamp, with room for coarse clocks."""

Stamp = tuple[int, int, int, int]
"""Modification and status change in ns, size, inode: a change changes one of them."""


class Control(msgspec.Struct, Generic[T], frozen=True):
    """What the files say together; without any, that nothing is logged, as in the agent."""

    enable: bool = False
    flow_based: bool = False
    """Capture only what one of the `flows` fits."""
    print_tenant: bool = False
    filters: tuple[T, ...] = ()
    flows: tuple[FlowSpec, ...] = ()
    """Sorted by uuid."""
    source: str = ""
    """Name of the `*.droplogcfg` file that counts; empty: there is none."""


class _File:
    """What is known of one file."""

    def __init__(self) -> None:
        self.stamp: Stamp | None = None
        """When it was read; None: read it again."""
        self.digest: bytes | None = None
        """Of the content that was read last; None: it could not be read."""
        self.told: str | None = None
        """Why the content is refused."""


class _FlowFile(_File):
    def __init__(self) -> None:
        super().__init__()
        self.latest: FlowSpec | None = None
        """What the content says; None: it is wrong."""
        self.good: FlowSpec | None = None
        """What counted last."""
        self.told_twice: str | None = None


class ControlDirectory(Generic[T]):
    """The control files of a directory; not thread-safe."""

    def __init__(self, path: str, parse: Parse[T]) -> None:
        """Nothing is read before the first `poll`."""
        self.path = path
        self.state: Control[T] = Control()
        self.notices: deque[str] = deque(maxlen=MAX_NOTICES)
        """What the user should know, oldest first; the reader takes them out."""
        self.notices_lost = 0
        """Notices that had to go for newer ones, since the start."""
        self._parse = parse
        self._source = ""
        self._drop_log: DropLog[T] = DropLog()
        self._drop_log_files: dict[str, _File] = {}
        self._flow_files: dict[str, _FlowFile] = {}
        self._told: dict[str, str] = {}

    def poll(self) -> bool:
        """Look at the directory, read what has changed; whether `state` is another now."""
        seen = self._scan()
        if seen is None:
            return False
        logs, flows = seen
        changed = self._poll_drop_log(self._bounded(logs, _DROP_LOG, self._source))
        changed = self._poll_flows(self._bounded(flows, _FLOW)) or changed
        if not changed:
            return False
        before = self.state
        self.state = Control(
            enable=self._drop_log.enable,
            flow_based=self._drop_log.flow_based,
            print_tenant=self._drop_log.print_tenant,
            filters=self._drop_log.filters,
            flows=self._flows(),
            source=self._source,
        )
        return self.state != before

    def _scan(self) -> tuple[dict[str, os.stat_result | None], ...] | None:
        """Control files of both kinds by name, with what stat(2) says; None: all stays as it is."""
        found: dict[str, dict[str, os.stat_result | None]] = {_DROP_LOG: {}, _FLOW: {}}
        try:
            with os.scandir(self.path) as entries:
                for entry in entries:
                    kind = os.path.splitext(entry.name)[1]
                    if kind not in found or entry.name.startswith("."):
                        continue
                    try:
                        status = entry.stat()
                    except OSError:
                        if entry.is_symlink():
                            found[kind][entry.name] = None  # opening it will tell why
                        continue
                    if not stat.S_ISDIR(status.st_mode):
                        found[kind][entry.name] = status
        except (FileNotFoundError, NotADirectoryError) as error:
            self._tell_once("", f"cannot be read ({why(error)}); no control files count")
            return {}, {}
        except OSError as error:
            self._tell_once("", f"cannot be read ({why(error)}); all stays as it was")
            return None
        self._told.pop("", None)
        return found[_DROP_LOG], found[_FLOW]

    def _bounded(
        self, found: dict[str, os.stat_result | None], kind: str, keep: str = ""
    ) -> dict[str, os.stat_result | None]:
        """The first `MAX_FILES` by name; `keep` is among them if it is there at all."""
        names = sorted(found)
        if keep in found:
            names.remove(keep)
            names.insert(0, keep)
        if len(names) > MAX_FILES:
            refused = were(len(names) - MAX_FILES, "file")
            more = f"{refused} refused, from {printable(names[MAX_FILES])} on"
            self._tell_once(kind, f"{more}; expected at most {MAX_FILES} *{kind}")
        else:
            self._told.pop(kind, None)
        return {name: found[name] for name in names[:MAX_FILES]}

    # The one file that counts

    def _poll_drop_log(self, found: dict[str, os.stat_result | None]) -> bool:
        """Whether what counts may have changed."""
        _keep(self._drop_log_files, found)
        changed = bool(self._source) and self._source not in found
        if changed:
            self._source, self._drop_log = "", DropLog()
        for name, status in found.items():
            file = self._drop_log_files.setdefault(name, _File())
            if self._source and name != self._source:
                continue
            data = self._read(file, name, status)
            if data is None:
                continue
            try:
                self._drop_log = opflex_file.drop_log(data, self._parse)
            except Wrong as error:
                self._refuse(file, name, str(error))
                continue
            self._source = name
            changed = True
        for name in found if self._source else ():
            if name != self._source:
                self._other(self._drop_log_files[name], name)
        return changed

    def _other(self, file: _File, name: str) -> None:
        """Say of a file that it does not count; it is read when it can."""
        self._refuse(file, name, f"{printable(self._source)} counts until it is removed")
        file.stamp = file.digest = None

    # The files of which all count

    def _poll_flows(self, found: dict[str, os.stat_result | None]) -> bool:
        """Whether what counts may have changed."""
        changed = _keep(self._flow_files, found)
        for name, status in found.items():
            file = self._flow_files.setdefault(name, _FlowFile())
            data = self._read(file, name, status)
            if data is None:
                continue
            changed = True
            file.told_twice = None
            try:
                file.latest = opflex_file.flow(data)
            except Wrong as error:
                file.latest = None
                self._refuse(file, name, str(error))
        return changed

    def _flows(self) -> tuple[FlowSpec, ...]:
        """What the flow files say, each uuid once: the first file by name has it."""
        found: dict[str, tuple[FlowSpec, str]] = {}
        for name, file in sorted(self._flow_files.items()):
            if file.latest is not None:
                taken = found.get(file.latest.uuid)
                if taken is None:
                    file.good, file.told_twice = file.latest, None
                elif file.told_twice != taken[1]:
                    file.told_twice = taken[1]
                    self._tell(
                        name, f"refused: uuid: that of {printable(taken[1])}; expected another"
                    )
            if file.good is not None:
                found.setdefault(file.good.uuid, (file.good, name))
        return tuple(found[uuid][0] for uuid in sorted(found))

    # One file

    def _read(self, file: _File, name: str, status: os.stat_result | None) -> bytes | None:
        """The content, if it is another than last time; None also if it is refused, and told."""
        if status is not None and file.stamp == _stamp(status):
            return None
        try:
            data, file.stamp = _content(os.path.join(self.path, name), status)
        except FileNotFoundError as error:
            if status is None:
                self._refuse(file, name, f"cannot be read ({why(error)})")
            return None  # else it was removed just now
        except OSError as error:
            file.digest = None
            self._refuse(file, name, f"cannot be read ({why(error)})")
            return None
        except Wrong as error:
            file.stamp = None if status is None else _stamp(status)
            file.digest = None
            self._refuse(file, name, str(error))
            return None
        digest = hashlib.sha256(data).digest()
        if digest == file.digest:
            return None
        file.digest = digest
        file.told = None
        return data

    def _refuse(self, file: _File, name: str, reason: str) -> None:
        """Say why, once for each content."""
        if file.told != reason:
            file.told = reason
            self._tell(name, f"refused: {reason}")

    def _tell_once(self, about: str, text: str) -> None:
        if self._told.get(about) != text:
            self._told[about] = text
            self._tell("", text)

    def _tell(self, name: str, text: str) -> None:
        if len(self.notices) == MAX_NOTICES:
            self.notices_lost += 1
        self.notices.append(
            f"{escape(os.path.join(self.path, name) if name else self.path)}: {text}"
        )


def _keep(known: dict[str, _F], found: dict[str, os.stat_result | None]) -> bool:
    """Forget files that are gone; whether there were any."""
    gone = known.keys() - found.keys()
    for name in gone:
        del known[name]
    return bool(gone)


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def _content(path: str, status: os.stat_result | None) -> tuple[bytes, Stamp | None]:
    """What a regular file holds, and its stamp; None for one that may change within its stamp.

    :raises OSError: if it cannot be read
    :raises Wrong: if it is not a regular file, or too large
    """
    status = os.stat(path) if status is None else status
    _regular(status)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        _regular(status)
        parts, left = [], MAX_SIZE + 1
        while left and (part := file.read(left)):
            parts.append(part)
            left -= len(part)
    if not left:
        raise Wrong("", f"more than {MAX_SIZE} bytes", "a control file")
    settled = abs(time.time_ns() - status.st_ctime_ns) > _SETTLED
    return b"".join(parts), _stamp(status) if settled else None


def _regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Wrong("", "not a regular file", "one")
