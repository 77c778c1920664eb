"""Whose the other end of a TCP connection on this host is: the kernel's table says it.

A port on 127.0.0.1 is open to every user of the host, and TCP has no SO_PEERCRED. But both ends of
such a connection are in /proc/net/tcp (proc_net_tcp.rst in the kernel's documentation), each with
the user who made it.
"""

from __future__ import annotations

import socket
import sys
from ipaddress import IPv4Address
from typing import TypeAlias

TABLE = "/proc/self/net/tcp"
_ESTABLISHED = "01"
_LOCAL, _REMOTE, _STATE, _USER, _INODE = 1, 2, 3, 7, 9
"""Columns of the table, separated by spaces."""

Address: TypeAlias = tuple[str, int]


def owner_of_peer(sock: socket.socket) -> int | None:
    """The user id of whoever holds the other end of an IPv4 connection on this host.

    None: nobody does any more, or the other end is not on this host or in another network
    namespace. Raises OSError when the table cannot be read.
    """
    try:
        ours, theirs = sock.getsockname(), sock.getpeername()
    except OSError:
        return None  # it was reset
    wanted = [_in_hex(theirs), _in_hex(ours), _ESTABLISHED]
    with open(TABLE, encoding="ascii") as table:
        for line in table:
            fields = line.split()
            # A socket that nobody has open any more has no inode, and root for its user.
            if fields[_LOCAL : _STATE + 1] == wanted and fields[_INODE] != "0":
                return int(fields[_USER])
    return None


def _in_hex(address: Address) -> str:
    """As the table has it: the address as a number in the byte order of the host."""
    number = int.from_bytes(IPv4Address(address[0]).packed, sys.byteorder)
    return f"{number:08X}:{address[1]:04X}"
