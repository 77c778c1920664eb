"""Connects to a Unix socket as the program does, enlarges its room, and says what came of it.

    python room_of.py PATH BYTES [filtered]

`filtered`: with a filter of system calls that refuses pidfd_getfd, as systemd's would (seccomp(2),
filters in linux/filter.h). It says one JSON object, and ends with its standard input.
"""

from __future__ import annotations

import ctypes
import errno
import json
import platform
import select
import socket
import struct
import sys

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ERRNO, _ALLOW = 0x00050000, 0x7FFF0000
_PIDFD_GETFD = 438


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refuse_getfd() -> None:
    """Let pidfd_getfd fail with EPERM in this process."""
    instructions = [
        (_LOAD, 0, 0, 0),  # the number of the system call
        (_JUMP_IF_EQUAL, 0, 1, _PIDFD_GETFD),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = b"".join(struct.pack("HBBI", *one) for one in instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    program = _Program(len(instructions), code)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0
    ):
        raise OSError(ctypes.get_errno(), f"no filter on {platform.machine()}")


def main() -> None:
    from ryu_droplog.connections.socket_enlarging import enlarge

    path, wanted, *how = sys.argv[1:]
    if how:
        refuse_getfd()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        select.select([sock], [], [], 20)  # a switch that has accepted greets
        print(json.dumps(enlarge(sock, int(wanted)).as_json()), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
