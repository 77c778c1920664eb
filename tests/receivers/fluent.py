"""Fluentd's forward protocol: the server of npm's `@fluent-org/logger`, under Node.

It takes the modes Message, Forward, PackedForward and compressed PackedForward, acknowledges
chunks, and speaks TLS, a shared key and users' passwords. It writes an entry to its file before it
acknowledges the chunk. Like the protocol asks, it refuses a client that calls itself by the
server's own name, `receiver.test`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .certificates import Certificates, make_certificates
from .service import HOST, PATIENCE, Service, eventually, free_port, takes_tcp, takes_unix
from .venv import VENV, node

MODULE = VENV / "node_modules" / "@fluent-org" / "logger"


@dataclass(frozen=True)
class Entry:
    """An event that the server took, with what its message said of it."""

    tag: str
    seconds: int
    """Since the epoch."""
    nanoseconds: int | None
    """Of an EventTime; none where the time was a plain integer."""
    record: dict[str, Any]
    chunk: str | None
    """Its id where an acknowledgement was asked for; the server sent one."""
    mode: str
    """message, forward, packed or compressed."""
    size: int | None
    """What the message said is its number of entries."""


class FluentServer(Service):
    """A receiver at `address`: "tcp:127.0.0.1:PORT", "tls:..." or "unix:PATH"."""

    name = "fluent"

    def __init__(
        self,
        *,
        unix: bool = False,
        tls: bool = False,
        client_certificate: bool = False,
        shared_key: str = "",
        users: Mapping[str, str] | None = None,
    ) -> None:
        """`client_certificate` refuses clients without one; `users` are names with passwords."""
        super().__init__()
        self.port = 0 if unix else free_port()
        self.path = self.folder / "s" if unix else None
        self.certificates: Certificates | None = None
        self._settings: dict[str, Any] = {"host": HOST, "port": self.port}
        self.address = f"tcp:{HOST}:{self.port}"
        if unix:
            self._settings["path"] = str(self.path)
            self.address = f"unix:{self.path}"
        if tls:
            self.certificates = make_certificates(self.folder / "certificates")
            self.address = f"tls:{HOST}:{self.port}"
            self._settings["tls"] = {
                "certificate": str(self.certificates.certificate),
                "key": str(self.certificates.key),
                "clientCa": str(self.certificates.ca) if client_certificate else None,
            }
        self._settings["sharedKey"] = shared_key
        self._settings["users"] = users

    @property
    def output(self) -> Path:
        """One line of JSON an entry."""
        return self.folder / "entries.jsonl"

    def command(self) -> Sequence[str | Path]:
        if self.path is not None:
            self.path.unlink(missing_ok=True)  # left by a crash, it would be in the way
        script = Path(__file__).with_name("fluent_server.js")
        return [node(), script, MODULE, self.output, json.dumps(self._settings)]

    def is_ready(self) -> bool:
        return takes_unix(self.path) if self.path is not None else takes_tcp(self.port)

    def entries(self) -> list[Entry]:
        """All that it took so far, of all its runs, in order."""
        if not self.output.exists():
            return []
        lines = self.output.read_bytes().split(b"\n")[:-1]  # the last may be half written
        return [Entry(**json.loads(line)) for line in lines]

    def read(self, count: int, patience: float = PATIENCE) -> list[Entry]:
        """All entries, once there are `count` of them."""
        eventually(
            lambda: self.output.exists() and self.output.read_bytes().count(b"\n") >= count,
            f"{count} entries in {self.output}",
            patience,
        )
        return self.entries()
