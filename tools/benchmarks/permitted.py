"""Traffic that the bridge permits: one TCP connection, as much as goes; run inside two guests.

    python permitted.py serve ADDRESS PORT
    python permitted.py send ADDRESS PORT SECONDS

The server takes one connection and says at its end, as one JSON object, the bytes that came and the
seconds that they took. Standard library only.
"""

from __future__ import annotations

import json
import socket
import sys
import time

CHUNK = 1 << 16
PATIENCE = 15.0
"""Seconds that either end waits for the other."""


def serve(address: str, port: int) -> dict[str, float]:
    """Take one connection; returns `bytes` and `seconds` from its first byte to its last."""
    with socket.create_server((address, port)) as listening:
        listening.settimeout(PATIENCE)
        connection, _ = listening.accept()
    total, begin, last = 0, 0.0, 0.0
    buffer = bytearray(1 << 20)
    with connection:
        connection.settimeout(PATIENCE)
        while count := connection.recv_into(buffer):
            last = time.monotonic()
            begin = begin or last
            total += count
    return {"bytes": total, "seconds": last - begin}


def send(address: str, port: int, seconds: float) -> None:
    """Send for so many seconds."""
    data = bytes(CHUNK)
    with socket.create_connection((address, port), PATIENCE) as connection:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            connection.sendall(data)


def main() -> None:
    """Serve or send, as the command line says."""
    role, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if role == "serve":
        print(json.dumps(serve(address, port)), flush=True)
    else:
        send(address, port, float(sys.argv[4]))


if __name__ == "__main__":
    main()
