"""What the kernel tells of a Unix socket by its inode: sock_diag(7), its bytes. Pure.

A request is a netlink header (netlink(7)) and a `unix_diag_req`; the answer is a netlink header, a
`unix_diag_msg` and attributes, or an error. All numbers are in the byte order of the host.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from ryu_droplog.model.errors import SwitchError

NETLINK_SOCK_DIAG = 4
"""The family of netlink (linux/netlink.h)."""
ANSWER_SIZE = 4096
"""Bytes of an answer, with room to spare: header, message and one attribute."""

_AF_UNIX = 1
_SOCK_DIAG_BY_FAMILY = 20
_NLMSG_ERROR = 2
_NLM_F_REQUEST = 1
_UDIAG_SHOW_PEER = 4
_UNIX_DIAG_PEER = 2
_ANY_STATE = 0xFFFFFFFF
_ANY_COOKIE = 0xFFFFFFFF
"""Half of the cookie of a request that does not know it (`INET_DIAG_NOCOOKIE`)."""

_HEADER = Struct("=IHHII")
"""Length, type, flags, sequence number and port (struct nlmsghdr)."""
_REQUEST = Struct("=BBHIIIII")
"""Family, protocol, padding, states, inode, what to show, two halves of the cookie."""
_MESSAGE = Struct("=BBBBIII")
"""Family, type, state, padding, inode, two halves of the cookie, the lower first."""
_ERROR = Struct("=i")
_ATTRIBUTE = Struct("=HH")
"""Length, its head included, and type (struct nlattr); each begins at a multiple of 4."""
_INODE = Struct("=I")


class UnixSocket(NamedTuple):
    """A Unix socket, as the kernel knows it."""

    inode: int
    kind: int
    """SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET."""
    cookie: int
    """64 bits that no other socket has had since the kernel started (SO_COOKIE)."""
    peer: int
    """Inode of the other end; 0: there is none, or nobody has accepted it yet."""


def request(inode: int, sequence: int) -> bytes:
    """The question about the socket with an inode; the answer has the same `sequence`."""
    body = _REQUEST.pack(
        _AF_UNIX, 0, 0, _ANY_STATE, inode, _UDIAG_SHOW_PEER, _ANY_COOKIE, _ANY_COOKIE
    )
    size = _HEADER.size + len(body)
    return _HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, sequence, 0) + body


def parse(answer: bytes, sequence: int) -> UnixSocket | int:
    """The socket that an answer describes, or the error number with which the kernel refuses.

    Raises SwitchError where the answer is none, or cut short.
    """
    if len(answer) < _HEADER.size:
        raise SwitchError("the kernel's answer about a socket is cut short")
    size, kind, _, number, _ = _HEADER.unpack_from(answer)
    if number != sequence or not _HEADER.size <= size <= len(answer):
        raise SwitchError("the kernel's answer about a socket is another one's, or cut short")
    body = answer[_HEADER.size : size]
    if kind == _NLMSG_ERROR and len(body) >= _ERROR.size:
        return -int(_ERROR.unpack_from(body)[0])
    if kind != _SOCK_DIAG_BY_FAMILY or len(body) < _MESSAGE.size:
        raise SwitchError("the kernel's answer about a socket is not understood")
    family, socket_type, _, _, inode, low, high = _MESSAGE.unpack_from(body)
    if family != _AF_UNIX:
        raise SwitchError(f"the kernel tells of a socket of family {family}, not of a Unix socket")
    return UnixSocket(inode, socket_type, high << 32 | low, _peer(body[_MESSAGE.size :]))


def _peer(attributes: bytes) -> int:
    """The peer's inode; 0 where none is told."""
    offset = 0
    while offset + _ATTRIBUTE.size <= len(attributes):
        size, kind = _ATTRIBUTE.unpack_from(attributes, offset)
        end = offset + size
        if size < _ATTRIBUTE.size or end > len(attributes):
            break
        if kind == _UNIX_DIAG_PEER and size >= _ATTRIBUTE.size + _INODE.size:
            return int(_INODE.unpack_from(attributes, offset + _ATTRIBUTE.size)[0])
        offset = (end + 3) // 4 * 4
    return 0
