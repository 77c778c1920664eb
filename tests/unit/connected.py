"""Runs connectors in a process of its own, against real sockets, under a hub; tells what happened.

Each scenario is a function; its name is the argument, and what it returns is printed as JSON.
"""

from __future__ import annotations

import atexit
import json
import logging
import shutil
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from ryu_droplog.runtime import manager  # noqa: F401  before os-ken: it loads the hub

# isort: split

import openflow_bytes as wire
from fake_switch import FakeSwitch, requests
from frames import syn
from os_ken.lib import hub

from ryu_droplog.concurrency.threads import join, start
from ryu_droplog.config.endpoint import TcpEndpoint, UnixEndpoint
from ryu_droplog.config.settings import Bridge
from ryu_droplog.connections import connector as module
from ryu_droplog.connections.connector import Connector, Session
from ryu_droplog.locks.bridge_claims import Claims, Trust
from ryu_droplog.reconcile.reconciler import Reconciler

PATIENCE = 20.0
PACKET_IN = wire.packet_in(syn())


class Work:
    """Stands in for a reconciler, which would need a whole bridge: works until it is stopped."""

    def __init__(self) -> None:
        self.stopping: Any = hub.Queue()
        self.stopped = 0

    def run(self) -> None:
        self.stopping.get()

    def stop(self) -> None:
        self.stopped += 1
        self.stopping.put(None)

    def flow_updates(self, body: bytes) -> None: ...
    def flow_removed(self, removed: object) -> None: ...


class Bed:
    """A switch at a management socket, and a connector for it."""

    def __init__(self, name: bytes | None = b"br-a", bridge: str = "br-a") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="connected-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.path = self.folder / f"{bridge}.mgmt"
        self.begun: list[str] = []
        self.works: list[Work] = []
        self.taken: list[bytes] = []
        self.said: list[str] = []
        self.peers: list[socket.socket] = []
        self.name = name
        handler = logging.Handler()
        handler.emit = lambda record: self.said.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger("ryu_droplog").addHandler(handler)
        logging.getLogger("ryu_droplog").setLevel(logging.INFO)
        self.claims = Claims(str(self.folder / "run"))
        endpoint = UnixEndpoint(str(self.path))
        self.bridge = Bridge(bridge, None, "auto", endpoint)
        self.connector = Connector(self.bridge, endpoint, self.begin, self.claims)

    def begin(self, connection: object, bridge: Bridge, name: str) -> Any:
        self.begun.append(name)
        self.works.append(Work())
        return cast(Reconciler, self.works[-1]), lambda messages, now: self.taken.extend(messages)

    def listen(self) -> None:
        """Let the switch be there from now on."""
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(str(self.path))
        listening.listen()
        start(self._accept, listening)

    def _accept(self, listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                peer, _ = listening.accept()
                self.peers.append(peer)
                start(self._answer, peer)

    def _answer(self, peer: socket.socket) -> None:
        switch = _Nameless(b"", 0x77) if self.name is None else FakeSwitch(self.name, 0x77)
        with peer, suppress(OSError):
            peer.sendall(wire.hello(4))
            for request in requests(peer, 60):
                peer.sendall(switch.answer(request))

    def run(self) -> Any:
        return start(self.connector.run)


class _Nameless(FakeSwitch):
    """A bridge without a LOCAL port."""

    def _multipart(self, kind: int, request: bytes) -> bytes:
        return (
            wire.port(1, b"tap1") if kind == wire.PORT_DESC else super()._multipart(kind, request)
        )


def until(look: Callable[[], object]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not look() and time.monotonic() < deadline:
        hub.sleep(0.01)
    return bool(look())


def connects_and_stops() -> dict[str, Any]:
    bed = Bed()
    bed.listen()
    thread = bed.run()
    until(lambda: bed.begun)
    bed.peers[0].sendall(PACKET_IN)
    until(lambda: bed.taken)
    bed.connector.stop()
    ended = join([thread], PATIENCE)
    again = bed.claims.take("br-a", 0x77, "another")
    bed.claims.release(again)
    return {
        "begun": bed.begun,
        "taken": [message.hex() for message in bed.taken],
        "stopped": bed.works[0].stopped > 0,
        "ended": ended,
        "said": bed.said,
    }


def waits_until_the_switch_is_there() -> dict[str, Any]:
    bed = Bed()
    thread = bed.run()
    until(lambda: bed.connector.trouble)
    trouble = bed.connector.trouble
    bed.listen()
    came = until(lambda: bed.begun)
    bed.peers[0].shutdown(socket.SHUT_RDWR)
    returned = until(lambda: len(bed.begun) == 2)
    bed.connector.stop()
    return {
        "state": trouble.state if trouble else None,
        "came": came,
        "returned": returned,
        "ended": join([thread], PATIENCE),
        "said": bed.said,
    }


def other_name_is_refused() -> dict[str, Any]:
    bed = Bed(b"br-b")
    bed.listen()
    thread = bed.run()
    until(lambda: bed.connector.trouble)
    trouble = bed.connector.trouble
    bed.connector.stop()
    return {"trouble": trouble, "begun": bed.begun, "ended": join([thread], PATIENCE)}


def long_names() -> dict[str, Any]:
    """By a name that is cut, and by the socket of a bridge that tells none."""
    begun = {}
    for how, name in (("cut", b"br-with-a-name-"), ("none", None)):
        bed = Bed(name, "br-with-a-name-of-its-own")
        bed.listen()
        thread = bed.run()
        until(lambda: bed.begun)  # noqa: B023
        bed.connector.stop()
        begun[how] = bed.begun
        join([thread], PATIENCE)
    return begun


def nameless_elsewhere_is_refused() -> dict[str, Any]:
    """Through TCP nothing tells which bridge it is."""
    bed = Bed(None)
    listening = socket.create_server(("127.0.0.1", 0))
    start(bed._accept, listening)
    endpoint = TcpEndpoint("127.0.0.1", listening.getsockname()[1])
    connector = Connector(bed.bridge, endpoint, bed.begin, bed.claims)
    thread = start(connector.run)
    until(lambda: connector.trouble)
    trouble = connector.trouble
    connector.stop()
    return {"trouble": trouble, "begun": bed.begun, "ended": join([thread], PATIENCE)}


def garbage_ends_its_own_connection() -> dict[str, Any]:
    bed = Bed()
    bed.listen()
    thread = bed.run()
    until(lambda: bed.begun)
    bed.peers[0].sendall(struct.pack("!BBHI", 4, 3, 3, 0))
    returned = until(lambda: len(bed.begun) == 2)
    bed.connector.stop()
    return {"returned": returned, "ended": join([thread], PATIENCE), "said": bed.said}


def silence_ends_a_handshake() -> dict[str, Any]:
    bed = Bed()
    near, far = socket.socketpair()
    session = Session(
        near,
        "a peer",
        lambda name: bed.bridge,
        bed.begin,
        bed.claims,
        Trust.LOCAL,
        handshake_time=0.2,
    )
    session.serve()
    far.close()
    return {"failure": session.failure, "ended": session.ended, "begun": bed.begun}


def less_trusted_is_refused() -> dict[str, Any]:
    bed = Bed()
    bed.listen()
    thread = bed.run()
    until(lambda: bed.begun)
    refused = None
    try:
        bed.claims.take("br-a", 0x78, "elsewhere", Trust.OUTWARD)
    except module.SwitchError as error:
        refused = str(error)
    bed.connector.stop()
    return {"refused": refused, "ended": join([thread], PATIENCE), "path": str(bed.path)}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]]()))
