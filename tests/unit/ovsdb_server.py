"""A real ovsdb-server with the schemas of Open vSwitch and OVN, for the tests of who asks it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from private_ovs import run, takes_connections
from waiting import PATIENCE, eventually

from ryu_droplog.ovsdb.client import Client
from ryu_droplog.ovsdb.jsonrpc import until
from ryu_droplog.ovsdb.southbound_servers import DATABASE

SCHEMAS = {
    "Open_vSwitch": Path("/usr/share/openvswitch/vswitch.ovsschema"),
    DATABASE: Path("/usr/share/ovn/ovn-sb.ovsschema"),
}


class OvsdbServer:
    """One database at a Unix socket; it may be stopped and started again with what it has."""

    def __init__(self, folder: Path, database: str, socket: str = "db.sock") -> None:
        self.socket = folder / socket
        self.database = database
        self._folder = folder
        self._file = folder / f"{database}.db"
        run("ovsdb-tool", "create", str(self._file), str(SCHEMAS[database]))
        self.start()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self.process = subprocess.Popen(
            (
                *("setpriv", "--pdeathsig", "KILL", "ovsdb-server", str(self._file)),
                *(f"--remote=punix:{self.socket}", "--unixctl=none", "-vconsole:off"),
            ),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
        )
        eventually(self.listens)

    def listens(self) -> bool:
        """Whether it takes connections."""
        return self.socket.exists() and takes_connections(self.socket)

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        self.socket.unlink(missing_ok=True)

    def client(self) -> Client:
        """A client of its database."""
        return Client(str(self.socket), self.database, deadline=until(PATIENCE))

    def insert(self, table: str, **row: Any) -> str:
        """Add a row; returns its UUID."""
        [result] = self.client().run({"op": "insert", "table": table, "row": row})
        return str(result["uuid"][1])

    def change(self, table: str, uuid: str, **row: Any) -> None:
        """Set columns of a row."""
        where = [["_uuid", "==", ["uuid", uuid]]]
        self.client().run({"op": "update", "table": table, "where": where, "row": row})

    def delete(self, table: str, uuid: str) -> None:
        """Take a row away."""
        where = [["_uuid", "==", ["uuid", uuid]]]
        self.client().run({"op": "delete", "table": table, "where": where})


@contextmanager
def ovsdb_server(folder: Path, database: str, socket: str = "db.sock") -> Iterator[OvsdbServer]:
    """A server for the length of a `with` block."""
    server = OvsdbServer(folder, database, socket)
    try:
        yield server
    finally:
        server.stop()
