"""ClickHouse: the engine of PyPI's `chdb`, which has no server, in a process of its own.

A process can have one database folder open. The engine has the Kafka table engine: see
`test_clickhouse_bed.py` for the settings that Tansu needs. After a `kill` the tables are read
again from the folder.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .service import PATIENCE, Service, eventually
from .venv import VENV


class ClickHouse(Service):
    """An engine that is asked in SQL."""

    name = "clickhouse"

    def command(self) -> Sequence[str | Path]:
        (self.folder / "socket").unlink(missing_ok=True)
        script = Path(__file__).with_name("clickhouse_process.py")
        return [VENV / "bin" / "python", script, self.folder / "socket", self.folder / "database"]

    def is_ready(self) -> bool:
        return (self.folder / "socket").exists()

    def query(self, sql: str, patience: float = PATIENCE) -> list[dict[str, Any]]:
        """The rows of an answer, none for what has none. 64-bit integers come as integers.

        Raises AssertionError with ClickHouse's words where it refuses.
        """
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(patience)
            client.connect(str(self.folder / "socket"))
            client.sendall(sql.encode())
            client.shutdown(socket.SHUT_WR)
            parts = []
            while part := client.recv(1 << 20):
                parts.append(part)
        status, _, text = b"".join(parts).decode().partition("\n")
        assert status == "ok", f"clickhouse: {text}\n{sql}"
        return [json.loads(line) for line in text.splitlines()]

    def wait(self, sql: str, expected: Any, patience: float = PATIENCE) -> None:
        """Wait until the only value of the answer is `expected`."""
        eventually(
            lambda: [list(row.values()) for row in self.query(sql)] == [[expected]],
            f"{sql} is {expected}",
            patience,
        )
