"""Enlarging the room of a management socket: the system calls.

The send buffer of the switch's end is set on a copy of its descriptor, which pidfd_getfd(2) gives;
nothing of the switch is stopped or traced. Before anything is set, the copy has proved to be the
other end of our very connection. Whatever goes wrong closes the copy, and leaves all as it was.

Sockets here are the interpreter's own, which never change whether a descriptor blocks: that is
common to all copies, and eventlet's would.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import socket
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from struct import Struct

from ryu_droplog.connections import unix_diag
from ryu_droplog.connections.socket_room import (
    ENLARGED,
    FAILED,
    MISSING,
    NOT_HERE,
    OFF,
    Facts,
    Identity,
    Requirement,
    Room,
    choose,
    difference,
    missing,
)
from ryu_droplog.connections.unix_diag import UnixSocket
from ryu_droplog.model.errors import SwitchError, why

_PIDFD_GETFD = 548 if os.uname().machine == "alpha" else 438
"""Number of the system call (Linux 5.6)."""
_PIDFD_GETFD_SINCE = (5, 6)
_RELEASE = re.compile(r"(\d+)\.(\d+)")
_SO_SNDBUFFORCE = 32
"""Like SO_SNDBUF, past net.core.wmem_max; takes CAP_NET_ADMIN (socket(7))."""
_SO_COOKIE = 57
_NO_DESCRIPTOR = 0x7FFFFFFF
"""A number that no process has a descriptor of."""
_ANSWER_TIME = 1.0
"""Seconds; the kernel answers before `send` returns."""
_CREDENTIALS = Struct("3i")
"""Process, user and group (struct ucred, unix(7))."""
_COOKIE = Struct("=Q")

_libc = ctypes.CDLL(None, use_errno=True)


def enlarge(sock: socket.socket, wanted: int) -> Room:
    """Give the other end of a connection to a management socket a send buffer of `wanted` bytes.

    As SO_SNDBUF takes them: the kernel reserves twice as many, for its own overhead. A buffer is
    never made smaller. Takes about a millisecond, and raises nothing that a system call fails with.
    """
    if not wanted:
        return Room(OFF)
    try:
        # Our end may be closed by another thread at any time, and its number given to another file.
        with _copy_of(os.dup(sock.fileno())) as ours:
            if ours.family != socket.AF_UNIX or ours.type != socket.SOCK_STREAM:
                return Room(NOT_HERE)
            return _enlarge(ours, wanted)
    except SwitchError as error:
        return Room(FAILED, why=str(error))
    except OSError as error:
        return Room(FAILED, why=why(error))


def _enlarge(ours: socket.SocketType, wanted: int) -> Room:
    pid = _CREDENTIALS.unpack(
        ours.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )[0]
    with _process(pid) as pidfd:
        lacks = missing(_look(pid, pidfd))
        if lacks:
            return Room(MISSING, lacks=lacks)
        assert pidfd is not None
        expected = _other_end(ours)
        try:
            number = choose(_links(pid), expected.inode)
        except PermissionError:
            return Room(MISSING, lacks=(Requirement.PTRACE,))
        if number is None:
            raise SwitchError(f"process {pid}, which listens there, has no descriptor of its end")
        with _copy_of(_getfd(pidfd, number)) as copy:
            return Room(ENLARGED, _set(copy, expected, wanted))


def _set(copy: socket.SocketType, expected: Identity, wanted: int) -> int:
    """The size of the buffer of a copy that is what is expected, once it is no smaller."""
    if other := difference(_identity(copy), expected):
        raise SwitchError(f"a copy of the switch's descriptor is not our connection's: {other}")
    if _send_buffer(copy) < 2 * wanted:
        copy.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, wanted)
    return _send_buffer(copy)


def _look(pid: int, pidfd: int | None) -> Facts:
    """Whether it can be done, without doing any of it; raises ProcessLookupError: it has ended."""
    refusal = _refusal(-1)
    # What is newer than a filter of system calls is often refused as if it were not there.
    has_getfd = refusal != errno.ENOSYS or _kernel() >= _PIDFD_GETFD_SINCE
    may_look = None
    if pidfd is not None:
        # Asked for a descriptor that is not there: who may not look is told so first.
        answer = _refusal(pidfd)
        if answer == errno.ESRCH:
            raise ProcessLookupError(answer, os.strerror(answer))
        may_look = answer != errno.EPERM if refusal == errno.EBADF else None
    return Facts(
        pid=pid,
        has_getfd=has_getfd,
        getfd_refused=refusal != errno.EBADF or (pidfd is None and pid != 0),
        may_look=may_look,
        may_force=_may_force(),
    )


def _kernel() -> tuple[int, ...]:
    """The version of the kernel, two numbers of it; (0,): it is not understood."""
    found = _RELEASE.match(os.uname().release)
    return tuple(map(int, found.groups())) if found else (0,)


def _refusal(pidfd: int) -> int:
    """The error number of pidfd_getfd for a descriptor that no process has."""
    try:
        os.close(_getfd(pidfd, _NO_DESCRIPTOR))
    except OSError as error:
        return error.errno or 0
    return 0


def _may_force() -> bool:
    """Whether SO_SNDBUFFORCE is allowed, tried on a socket of our own."""
    with closing(socket.SocketType(socket.AF_UNIX, socket.SOCK_DGRAM)) as scratch:
        try:
            scratch.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _send_buffer(scratch) // 2)
        except PermissionError:
            return False
    return True


@contextmanager
def _process(pid: int) -> Iterator[int | None]:
    """A descriptor of a process (pidfd_open(2)): it stays this one's, whoever gets its number.

    None where there is no process to be had: another PID namespace, or a kernel without. Raises
    ProcessLookupError where it has ended.
    """
    if not pid:
        yield None
        return
    try:
        pidfd = os.pidfd_open(pid)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
        yield None
        return
    try:
        yield pidfd
    finally:
        os.close(pidfd)


def _getfd(pidfd: int, number: int) -> int:
    """A copy of a descriptor of another process, closed on exec (pidfd_getfd(2)); OSError."""
    copy: int = _libc.syscall(_PIDFD_GETFD, pidfd, number, 0)
    if copy < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return copy


@contextmanager
def _copy_of(descriptor: int) -> Iterator[socket.SocketType]:
    """A descriptor as a socket, closed at the end of the block; raises OSError: it is none."""
    try:
        sock = socket.SocketType(fileno=descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    with closing(sock):
        yield sock


def _links(pid: int) -> Iterator[tuple[int, str]]:
    """The descriptors of a process, and what they are, as far as they do not close meanwhile."""
    with os.scandir(f"/proc/{pid}/fd") as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                yield int(entry.name), os.readlink(entry.path)


def _other_end(ours: socket.SocketType) -> Identity:
    """What the other end of our connection must be; raises SwitchError, OSError."""
    mine = os.fstat(ours.fileno())
    with closing(
        socket.SocketType(socket.AF_NETLINK, socket.SOCK_DGRAM, unix_diag.NETLINK_SOCK_DIAG)
    ) as diag:
        diag.settimeout(_ANSWER_TIME)
        near = _ask(diag, mine.st_ino)
        if near.cookie != _cookie(ours) or not near.peer:
            raise SwitchError("the kernel does not tell the other end of our connection")
        far = _ask(diag, near.peer)
    if (far.inode, far.kind, far.peer) != (near.peer, socket.SOCK_STREAM, mine.st_ino):
        raise SwitchError("the other end of our connection has changed meanwhile")
    return Identity(
        device=mine.st_dev,
        inode=far.inode,
        cookie=far.cookie,
        family=socket.AF_UNIX,
        kind=socket.SOCK_STREAM,
        listens=False,
        name=ours.getpeername(),
        peer_name=ours.getsockname(),
    )


def _ask(diag: socket.SocketType, inode: int) -> UnixSocket:
    diag.send(unix_diag.request(inode, inode))
    told = unix_diag.parse(diag.recv(unix_diag.ANSWER_SIZE), inode)
    if isinstance(told, int):
        raise SwitchError(f"the kernel does not tell the other end: {os.strerror(told)}")
    return told


def _identity(sock: socket.SocketType) -> Identity:
    status = os.fstat(sock.fileno())
    if not stat.S_ISSOCK(status.st_mode):
        raise SwitchError("a copy of the switch's descriptor is no socket")
    return Identity(
        device=status.st_dev,
        inode=status.st_ino,
        cookie=_cookie(sock),
        family=sock.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN),
        kind=sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE),
        listens=bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)),
        name=sock.getsockname(),
        peer_name=sock.getpeername(),
    )


def _cookie(sock: socket.SocketType) -> int:
    return int(_COOKIE.unpack(sock.getsockopt(socket.SOL_SOCKET, _SO_COOKIE, _COOKIE.size))[0])


def _send_buffer(sock: socket.SocketType) -> int:
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
