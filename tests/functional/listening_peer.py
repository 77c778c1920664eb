"""A process that listens where a test says, as no switch would; run by test_socket_room.

    python listening_peer.py PATH HOW

HOW is `here`: it accepts two connections; or `child`: it listens, and its child accepts. It says
`ready` when it listens and `accepted` behind each connection, and ends with its standard input.
"""

from __future__ import annotations

import os
import socket
import sys


def accept(listening: socket.socket) -> None:
    """Take two connections, and keep them until the input ends."""
    kept = []
    for _ in range(2):
        kept.append(listening.accept()[0])
        print("accepted", flush=True)
    sys.stdin.read()


def main() -> None:
    path, how = sys.argv[1:]
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(4)
    print("ready", flush=True)
    if how == "here":
        accept(listening)
        return
    child = os.fork()
    if not child:
        accept(listening)
        os._exit(0)
    listening.close()
    os.waitpid(child, 0)


if __name__ == "__main__":
    main()
