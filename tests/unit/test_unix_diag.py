"""What the kernel is asked about a Unix socket, and what it answers."""

from __future__ import annotations

import errno
import os
import socket
import struct

import pytest

from ryu_droplog.connections.unix_diag import (
    ANSWER_SIZE,
    NETLINK_SOCK_DIAG,
    UnixSocket,
    parse,
    request,
)
from ryu_droplog.model.errors import SwitchError

STREAM = int(socket.SOCK_STREAM)


def header(kind: int, body: bytes, sequence: int = 7) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 0, sequence, 99) + body


def told(*attributes: bytes, family: int = 1, kind: int = STREAM) -> bytes:
    body = struct.pack("=BBBBIII", family, kind, 1, 0, 5000, 0x11223344, 0x1)
    return header(20, body + b"".join(attributes))


def attribute(kind: int, data: bytes) -> bytes:
    size = 4 + len(data)
    return struct.pack("=HH", size, kind) + data + bytes(-size % 4)


PEER = attribute(2, struct.pack("=I", 6000))
NAME = attribute(0, b"/run/x.mgmt\0")
SOCKET = UnixSocket(5000, STREAM, 0x1_11223344, 6000)


def test_request_has_the_layout_of_the_kernels_headers() -> None:
    expected = struct.pack("=IHHII", 40, 20, 1, 7, 0)
    expected += struct.pack("=BBHIIIII", 1, 0, 0, 2**32 - 1, 5000, 4, 2**32 - 1, 2**32 - 1)
    assert expected == request(5000, 7)


@pytest.mark.parametrize("attributes", [(PEER,), (NAME, PEER), (PEER, NAME)])
def test_peer_is_found_among_the_attributes(attributes: tuple[bytes, ...]) -> None:
    assert SOCKET == parse(told(*attributes), 7)


def test_socket_that_nobody_has_accepted_has_no_peer() -> None:
    assert SOCKET._replace(peer=0) == parse(told(), 7)
    assert SOCKET._replace(peer=0) == parse(told(attribute(2, bytes(4))), 7)


def test_refusal_is_its_error_number() -> None:
    assert errno.ENOENT == parse(header(2, struct.pack("=i", -errno.ENOENT) + bytes(40)), 7)


@pytest.mark.parametrize(
    "answer",
    [
        told(PEER, family=2),
        header(3, b""),
        header(2, b"\0"),
        header(20, bytes(15)),
        struct.pack("=IHHII", 8, 20, 0, 7, 0),
        struct.pack("=IHHII", 4000, 20, 0, 7, 0),
    ],
)
def test_answer_of_another_kind_is_refused(answer: bytes) -> None:
    with pytest.raises(SwitchError):
        parse(answer, 7)


def test_answer_to_another_question_is_refused() -> None:
    with pytest.raises(SwitchError):
        parse(told(PEER), 8)


def test_answer_cut_anywhere_is_refused() -> None:
    whole = told(NAME, PEER)
    for size in range(len(whole)):
        with pytest.raises(SwitchError):
            parse(whole[:size], 7)


@pytest.mark.parametrize("size", [0, 3, 400])
def test_attribute_with_a_false_length_ends_the_attributes(size: int) -> None:
    assert SOCKET._replace(peer=0) == parse(told(struct.pack("=HH", size, 0), PEER), 7)


def test_kernel_tells_both_ends_of_a_pair() -> None:
    one, other = socket.socketpair()
    with one, other, socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG) as diag:
        inodes = [os.fstat(end.fileno()).st_ino for end in (one, other)]
        cookies = [
            struct.unpack("=Q", end.getsockopt(socket.SOL_SOCKET, 57, 8))[0] for end in (one, other)
        ]
        found = []
        for inode in inodes:
            diag.send(request(inode, 3))
            found.append(parse(diag.recv(ANSWER_SIZE), 3))
    assert found == [
        UnixSocket(inodes[0], STREAM, cookies[0], inodes[1]),
        UnixSocket(inodes[1], STREAM, cookies[1], inodes[0]),
    ]


def test_kernel_refuses_an_inode_of_no_socket() -> None:
    one, other = socket.socketpair()
    inode = os.fstat(one.fileno()).st_ino
    one.close()
    other.close()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG) as diag:
        diag.send(request(inode, 4))
        assert errno.ENOENT == parse(diag.recv(ANSWER_SIZE), 4)
