"""Sends frames from one interface, evenly paced or as fast as it goes; run inside a guest.

    python sender.py INTERFACE COUNT RATE FILE

RATE is in frames a second, 0 for line rate. FILE has the frames, which are sent in turn, each
behind its length in two bytes, network byte order. At the end one JSON object says what was done.
Standard library only; it needs CAP_NET_RAW, and Linux for sendmmsg(2).
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import socket
import struct
import sys
import time
from pathlib import Path

BATCH = 64
"""Frames that one system call hands to the kernel at line rate."""
PACED_BATCH = 8
"""The same when they are paced: few enough to be an even flow, enough to leave processor time."""
RETRY_PAUSE = 0.0002
"""Seconds to wait when the interface's queue is full (ENOBUFS)."""


class _IoVec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_char_p), ("length", ctypes.c_size_t))


class _MsgHdr(ctypes.Structure):
    """struct msghdr (recvmsg(2))."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("iov", ctypes.POINTER(_IoVec)),
        ("iov_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _MMsgHdr(ctypes.Structure):
    """struct mmsghdr (sendmmsg(2))."""

    _fields_ = (("header", _MsgHdr), ("length", ctypes.c_uint))


class Frames:
    """Frames in the layout that sendmmsg wants, sent in turn from the first to the last."""

    def __init__(self, frames: list[bytes]) -> None:
        """At least one frame; each begins with its destination MAC and has no FCS."""
        repeated = frames * (-(-BATCH // len(frames)))
        self._size = len(repeated)
        self._keep = [_IoVec(frame, len(frame)) for frame in repeated]
        self._vector = (_MMsgHdr * self._size)()
        for header, iov in zip(self._vector, self._keep, strict=True):
            header.header.iov = ctypes.pointer(iov)
            header.header.iov_length = 1
        self._next = 0
        self._libc = ctypes.CDLL(None, use_errno=True)

    def send(self, descriptor: int, count: int) -> int:
        """Hand up to `count` frames to the socket; returns how many it took.

        Raises OSError for all but a queue that is full, which takes none.
        """
        count = min(count, self._size - self._next)
        first = ctypes.byref(self._vector, self._next * ctypes.sizeof(_MMsgHdr))
        taken: int = self._libc.sendmmsg(descriptor, first, count, 0)
        if taken < 0:
            number = ctypes.get_errno()
            if number in (errno.ENOBUFS, errno.EAGAIN, errno.EINTR):
                time.sleep(RETRY_PAUSE)
                return 0
            raise OSError(number, os.strerror(number))
        self._next = (self._next + taken) % self._size
        return taken


def send(interface: str, frames: list[bytes], count: int, rate: float) -> dict[str, float]:
    """Send `count` frames; returns what was done.

    :param rate: frames a second; 0 sends without a pause
    :returns: `sent` frames, the `seconds` that it took, the `processor` seconds that it cost
    """
    ready = Frames(frames)
    sent = 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as packets:
        packets.bind((interface, 0))
        descriptor = packets.fileno()
        begin = time.monotonic()
        while sent < count:
            batch = min(BATCH, count - sent)
            if rate:
                due = int((time.monotonic() - begin) * rate) - sent
                if due < PACED_BATCH and due < count - sent:
                    time.sleep((PACED_BATCH - max(due, 0)) / rate)
                    continue
                batch = min(batch, due)
            sent += ready.send(descriptor, batch)
        seconds = time.monotonic() - begin
    return {"sent": sent, "seconds": seconds, "processor": time.process_time()}


def pack(frames: list[bytes]) -> bytes:
    """Frames as `unpack` reads them."""
    return b"".join(struct.pack("!H", len(frame)) + frame for frame in frames)


def unpack(data: bytes) -> list[bytes]:
    """Frames, each behind its length in two bytes, network byte order."""
    frames, offset = [], 0
    while offset < len(data):
        (length,) = struct.unpack_from("!H", data, offset)
        frames.append(data[offset + 2 : offset + 2 + length])
        offset += 2 + length
    return frames


def main() -> None:
    """Send what the file has, and say on standard output what was done."""
    interface, count, rate = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    frames = unpack(Path(sys.argv[4]).read_bytes())
    done = send(interface, frames, count, rate)
    print(json.dumps(done))


if __name__ == "__main__":
    main()
