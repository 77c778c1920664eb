"""The room of a management socket: what it takes to enlarge it, and how that ended. Pure.

A Unix stream socket holds what its sender's send buffer holds: 208 KiB by default, some hundred
PacketIns. The buffer belongs to the switch's end. `socket_enlarging` enlarges it there, on a copy
of the switch's descriptor; here is what is decided meanwhile, and what is said of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, NamedTuple

ENLARGED = "enlarged"
"""It has the room that is wanted, or more."""
OFF = "off"
"""`socket_room` is 0."""
NOT_HERE = "not here"
"""The connection is no Unix socket: the room is the kernel's affair, or another host's."""
MISSING = "missing"
"""A right, or something of the system, is missing."""
FAILED = "failed"
"""It was tried, and something was in the way."""


PACKET_SIZE = 768
"""Bytes that the PacketIn of a short frame takes of a send buffer, with the kernel's overhead."""


class Requirement(Enum):
    """What enlarging takes, in words."""

    LINUX = "Linux 5.6 (pidfd_getfd)"
    SYSTEM_CALL = "the system call pidfd_getfd (a filter refuses it)"
    PID_NAMESPACE = "a PID namespace in common with ovs-vswitchd"
    PTRACE = "CAP_SYS_PTRACE over ovs-vswitchd"
    NET_ADMIN = "CAP_NET_ADMIN in the first user namespace"


class Facts(NamedTuple):
    """What was found out before anything is done."""

    pid: int
    """Of the peer, in our PID namespace; 0: it is in another one."""
    has_getfd: bool
    """Whether the kernel is new enough."""
    getfd_refused: bool
    """It is not there, or a filter of system calls (seccomp) refuses it."""
    may_look: bool | None
    """Whether descriptors of the peer may be copied; None: that could not be asked."""
    may_force: bool
    """Whether a buffer may be made larger than `net.core.wmem_max`."""


def missing(facts: Facts) -> tuple[Requirement, ...]:
    """What is not there, all of it; empty: it can be tried."""
    found = []
    if not facts.has_getfd:
        found.append(Requirement.LINUX)
    elif facts.getfd_refused:
        found.append(Requirement.SYSTEM_CALL)
    if not facts.pid:
        found.append(Requirement.PID_NAMESPACE)
    if facts.may_look is False:
        found.append(Requirement.PTRACE)
    if not facts.may_force:
        found.append(Requirement.NET_ADMIN)
    return tuple(found)


def choose(links: Iterable[tuple[int, str]], inode: int) -> int | None:
    """The descriptor whose link (`/proc/PID/fd`, proc(5)) is the socket with an inode, if any."""
    wanted = f"socket:[{inode}]"
    return next((number for number, link in links if link == wanted), None)


class Identity(NamedTuple):
    """What tells one socket from all others, and what it is for."""

    device: int
    inode: int
    cookie: int
    """SO_COOKIE."""
    family: int
    kind: int
    listens: bool
    """SO_ACCEPTCONN."""
    name: str | bytes
    """Where it is bound: a path, bytes for one in the abstract namespace."""
    peer_name: str | bytes


def difference(copy: Identity, expected: Identity) -> str:
    """In what a copied descriptor is not the one that is meant, in words; empty: in nothing."""
    for field in Identity._fields:
        found, wanted = getattr(copy, field), getattr(expected, field)
        if found != wanted:
            return f"its {field.replace('_', ' ')} is {found!r}, not {wanted!r}"
    return ""


class Room(NamedTuple):
    """What became of the wish for more room."""

    state: str
    size: int | None = None
    """Bytes of the send buffer at the switch's end, as getsockopt tells them (socket(7)); overhead
    of the kernel counts. None: it was not read."""
    lacks: Sequence[Requirement] = ()
    why: str = ""
    """Of FAILED."""

    @property
    def enlarged(self) -> bool:
        """Whether the reader may rest."""
        return self.state == ENLARGED

    def as_json(self) -> dict[str, Any]:
        """For `status --json`."""
        return {
            "state": self.state,
            "bytes": self.size,
            "missing": [requirement.value for requirement in self.lacks],
            "why": self.why or None,
        }

    def in_words(self, *, would: bool = False) -> str:
        """What is to be known of it, in a line; empty: nothing is.

        `would`: it was tried on another connection than that of a running program.
        """
        if self.state == ENLARGED:
            packets = (self.size or 0) // PACKET_SIZE
            return (
                f"the room of the management socket {'would be' if would else 'is'} enlarged to"
                f" {self.size} bytes, some {packets} short packets"
            )
        if self.state == OFF:
            return (
                f"the room of the management socket is as it is, because socket_room is 0; {_COST}"
            )
        if self.state not in (MISSING, FAILED):
            return ""
        lacks = " and ".join(requirement.value for requirement in self.lacks)
        why = f"for want of {lacks}" if lacks else f"because of this: {self.why}"
        verb = "would not be" if would else "is not"
        return f"the room of the management socket {verb} enlarged, {why}; {_COST}"


def from_json(data: Any) -> Room | None:
    """What `Room.as_json` gave, as a program says it; None: nothing that is understood."""
    try:
        lacks = tuple(map(Requirement, data["missing"]))
        return Room(
            str(data["state"]), data["bytes"] and int(data["bytes"]), lacks, data["why"] or ""
        )
    except (LookupError, TypeError, ValueError):
        return None


_COST = (
    "it holds some hundred packets, and a longer burst loses some, which are counted (connect:"
    " service takes bursts whole)"
)
