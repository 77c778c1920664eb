"""What the OpFlex agent calls its policies and groups."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from struct import Struct
from types import MappingProxyType
from typing import NamedTuple

from ryu_droplog.text.printable import word

POLICY_FILE = "l24classifierRule.id"
"""The rules' names by the id that is the cookie of their flows."""
FILE_SIZE = 4 * 1024 * 1024
"""Bytes of an id file that are read at most: what is behind is not known."""

# opflex, agent-ovs/lib/IdGenerator.cpp: magic and version; then for each name its id, its length
# and its bytes. In the byte order of the machine, which is the agent's own.
_HEAD = Struct("=8sI")
_MAGIC, _VERSION = b"opflexid", 1
_ENTRY = Struct("=IH")
_ID_MASK = 0xFFFFFFFF


class OpflexNames(NamedTuple):
    """Names of policies by id, and of tenants by group."""

    policies: Mapping[int, str] = MappingProxyType({})
    """By the low 32 bits of the cookie."""
    tenants: Mapping[int, str] | None = None
    """By the number of the group; None: tenants are not asked for."""

    def policy(self, cookie: int) -> str:
        """The name of the policy whose flow has this cookie; empty where it is not known."""
        return self.policies.get(cookie & _ID_MASK, "")

    def tenant(self, group: int) -> str | None:
        """The tenant of a group; empty where it is not known, None where nobody asks."""
        return None if self.tenants is None else self.tenants.get(group, "")


NO_NAMES = OpflexNames()


class PolicyNames:
    """The agent's id file of policies, read again when it has changed."""

    def __init__(self, directory: str) -> None:
        """`directory` need not be there."""
        self._path = Path(directory, POLICY_FILE)
        self._seen: tuple[int, int, int] | None = None
        self.names: Mapping[int, str] = {}

    def poll(self) -> bool:
        """Look at the file; whether the names have changed. What cannot be read has none."""
        try:
            found = self._path.stat()
            seen = (found.st_mtime_ns, found.st_size, found.st_ino)
            if seen == self._seen:
                return False
            self._seen = seen
            names = dict(parse_ids(self._read()))
        except OSError:
            self._seen, names = None, {}
        changed = names != self.names
        self.names = names
        return changed

    def _read(self) -> bytes:
        # Whatever stands there, this must not wait for it.
        with open(
            self._path, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)
        ) as file:
            return file.read(FILE_SIZE) or b""


def parse_ids(data: bytes) -> Iterator[tuple[int, str]]:
    """Ids and names in an id file; what is cut or of another format ends it. Raises nothing.

    A name comes as one printable word, whatever it was, so that it fits into a line.
    """
    if len(data) < _HEAD.size or _HEAD.unpack_from(data) != (_MAGIC, _VERSION):
        return
    start = _HEAD.size
    while start + _ENTRY.size <= len(data):
        number, length = _ENTRY.unpack_from(data, start)
        start += _ENTRY.size + length
        if start > len(data):
            return
        yield number, word(data[start - length : start].decode("utf-8", "backslashreplace"))
