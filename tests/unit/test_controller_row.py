"""Our Controller row, in the database of a real ovsdb-server."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct
from ovsdb_server import OvsdbServer, ovsdb_server
from waiting import eventually

from ryu_droplog.model.errors import SwitchError
from ryu_droplog.ovsdb.client import Map, References, Select, references
from ryu_droplog.ovsdb.controller_row import MARK, ServiceRow

TARGET = "tcp:127.0.0.1:16653"


class Bridge(Struct):
    name: str
    controller: References


class Controller(Struct):
    target: str
    type: str | tuple[str, list[str]]
    external_ids: Map


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OvsdbServer]:
    """With the bridges br0 and br1; br0 has a controller of its own."""
    with ovsdb_server(tmp_path, "Open_vSwitch") as server:
        rows = [
            {"op": "insert", "table": "Controller", "row": {"target": "tcp:x"}, "uuid-name": "own"},
            *(
                {"op": "insert", "table": "Bridge", "row": row, "uuid-name": str(row["name"])}
                for row in (
                    {"name": "br0", "controller": ["named-uuid", "own"]},
                    {"name": "br1"},
                )
            ),
        ]
        bridges = ["set", [["named-uuid", name] for name in ("br0", "br1")]]
        server.client().run(
            *rows, {"op": "insert", "table": "Open_vSwitch", "row": {"bridges": bridges}}
        )
        yield server


def controllers(server: OvsdbServer) -> list[tuple[str, str, dict[str, str]]]:
    rows = server.client().select(Select("Controller", Controller))
    return sorted((row.target, str(row.type), dict(row.external_ids[1])) for row in rows)


def of(server: OvsdbServer, bridge: str) -> int:
    """How many controllers a bridge has."""
    [row] = server.client().select(Select("Bridge", Bridge, [("name", "==", bridge)]))
    return len(references(row.controller))


def row(server: OvsdbServer, bridge: str = "br0", target: str = TARGET) -> ServiceRow:
    return ServiceRow(str(server.socket), bridge, target)


def test_row_is_put_beside_others_and_taken_away_alone(server: OvsdbServer) -> None:
    before = controllers(server)
    for _ in range(2):
        row(server).ensure()
        assert (TARGET, "service", {MARK: "br0"}) in controllers(server)
        assert 2 == of(server, "br0")
    row(server, "br1").ensure()
    row(server).remove()
    assert 1 == of(server, "br0")
    assert 1 == of(server, "br1")
    row(server, "br1").remove()
    row(server, "br1").remove()
    assert before == controllers(server)


def test_row_with_another_target_is_replaced(server: OvsdbServer) -> None:
    row(server, target="tcp:127.0.0.1:9").ensure()
    row(server).ensure()
    assert TARGET in {target for target, _, _ in controllers(server)}
    assert 2 == of(server, "br0") == len(controllers(server))


def test_bridge_that_is_not_there_is_an_error_and_leaves_no_row(server: OvsdbServer) -> None:
    with pytest.raises(SwitchError, match="br9: there is no such bridge in"):
        row(server, "br9").ensure()
    assert 1 == len(controllers(server))


def test_limit_that_somebody_sets_is_told(server: OvsdbServer) -> None:
    ours = row(server)
    ours.ensure()
    assert ours.limit() is None
    where = [["target", "==", TARGET]]
    update = {"op": "update", "table": "Controller", "where": where}
    server.client().run({**update, "row": {"controller_rate_limit": 500}})
    assert 500 == ours.limit()


def test_will_takes_the_row_away_by_itself(server: OvsdbServer) -> None:
    """These bytes are all that the clean-up process has."""
    ours = row(server)
    ours.ensure()
    with socket.socket(socket.AF_UNIX) as visitor:
        visitor.connect(str(server.socket))
        visitor.sendall(ours.will())
        assert "error" not in json.loads(visitor.recv(65536))["result"][0]
    assert eventually(lambda: 1 == of(server, "br0"))


def test_database_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SwitchError, match="No such file or directory"):
        ServiceRow(str(tmp_path / "db.sock"), "br0", TARGET).ensure()
