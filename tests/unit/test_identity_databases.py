"""What Open vSwitch's database says of ends, at a real ovsdb-server; and ports of OVN's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile import NAMES as HOSTILE
from odd_database import OddDatabase, for_ever, replies, says
from os_ken.lib import hub
from ovsdb_server import OvsdbServer, ovsdb_server
from waiting import eventually

from ryu_droplog.identity import ovsdb
from ryu_droplog.identity.base import SourceContext
from ryu_droplog.identity.bridge_ports import BridgeRow, InterfaceRow, PortRow, Rows
from ryu_droplog.identity.knowledge import Knowledge
from ryu_droplog.identity.southbound import Southbound, statement_of
from ryu_droplog.identity.statement import IN_PORT, MAC, Statement
from ryu_droplog.ovsdb import jsonrpc
from ryu_droplog.ovsdb.client import OPEN_VSWITCH
from ryu_droplog.ovsdb.southbound_rows import (
    DatapathRow,
    LogicalPort,
    directory,
)
from ryu_droplog.ovsdb.southbound_rows import PortRow as BindingRow

UUIDS = [f"{n:08x}-0000-4000-8000-000000000000" for n in range(1, 9)]


@pytest.fixture(autouse=True)
def threads_of_the_native_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sockets of these tests are the standard library's: a green thread would hold up all."""
    monkeypatch.setattr(hub, "HUB_TYPE", "native")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OvsdbServer]:
    with ovsdb_server(tmp_path, OPEN_VSWITCH) as made:
        yield made


class Followed:
    """The source, which looks when it is told to."""

    def __init__(self, folder: Path) -> None:
        self.knowledge = Knowledge(threading)
        self.source = ovsdb.Ovsdb(True, SourceContext(self.knowledge, threading, (str(folder),)))
        self.source.attempt()

    def at(self, bridge: str, port: int) -> Statement | None:
        """What is said of a port now, once it was looked again."""
        self.source.attempt()
        found = self.knowledge.at((IN_PORT, (bridge, port)), float("1e18"))
        return found[0].statement if found else None


def insert(server: OvsdbServer, name: str, ofport: int, **more: Any) -> str:
    """A bridge with one port; the UUID of the interface."""
    operations = [
        {
            "op": "insert",
            "table": "Interface",
            "uuid-name": "i",
            "row": {"name": name, "ofport": ofport, **more},
        },
        {
            "op": "insert",
            "table": "Port",
            "uuid-name": "p",
            "row": {"name": name, "tag": 7, "interfaces": ["named-uuid", "i"]},
        },
        {
            "op": "insert",
            "table": "Bridge",
            "uuid-name": "b",
            "row": {"name": f"br-{name}", "ports": ["named-uuid", "p"]},
        },
        {"op": "insert", "table": "Open_vSwitch", "row": {"bridges": ["named-uuid", "b"]}},
    ]
    return str(server.client().run(*operations)[0]["uuid"][1])


def test_ports_are_followed(server: OvsdbServer, tmp_path: Path) -> None:
    uuid = insert(server, "tap1", 5, external_ids=["map", [["iface-id", "a"]]])
    followed = Followed(tmp_path)
    assert followed.at("br-tap1", 5) == Statement(
        "ovsdb", bridge="br-tap1", in_port=5, ports=("tap1",), logical_port="a", network="vlan 7"
    )
    server.change("Interface", uuid, external_ids=["map", [["iface-id", "b"]]])
    assert eventually(lambda: (followed.at("br-tap1", 5) or Statement("")).logical_port == "b")
    server.change("Interface", uuid, ofport=6)
    assert eventually(lambda: followed.at("br-tap1", 6) is not None)
    assert None is followed.at("br-tap1", 5)
    followed.source.close()
    assert None is followed.at("br-tap1", 6)


def test_what_is_known_stays_while_the_database_is_away(
    server: OvsdbServer, tmp_path: Path
) -> None:
    uuid = insert(server, "tap1", 5)
    followed = Followed(tmp_path)
    server.stop()

    def look() -> str:
        followed.source.attempt()
        return followed.source.trouble

    assert eventually(lambda: look() != "")
    assert followed.at("br-tap1", 5) is not None
    server.start()
    assert eventually(lambda: look() == "")
    assert followed.at("br-tap1", 5) is not None
    server.change("Interface", uuid, ofport=6)
    assert eventually(lambda: followed.at("br-tap1", 6) is not None)
    followed.source.close()


def test_odd_server_is_a_trouble_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ovsdb, "PATIENCE", 0.5)
    monkeypatch.setattr(ovsdb, "SIZE", 100_000)
    scripts = [
        replies(None, "no"),
        replies({"Interface": {"x": {"new": {"name": 7}}}}),
        replies([]),
        says(b"{"),
        for_ever(b'{"a": "'),
        for_ever(b"[" * 100),
    ]
    for number, script in enumerate(scripts):
        folder = tmp_path / str(number)
        folder.mkdir()
        with OddDatabase(folder / "db.sock", script):
            followed = Followed(folder)
            assert followed.source.trouble
            assert "mistake of this program" not in followed.source.trouble
            followed.source.close()


def interface(name: str, ofport: int = 1, type: str = "", **more: Any) -> InterfaceRow:
    """A row; `more` are external_ids, with `_` for `-`, and options."""
    options = [("peer", more.pop("peer"))] if "peer" in more else []
    ids = [(key.replace("_", "-"), value) for key, value in more.items()]
    return InterfaceRow(name, type, ofport, ("map", ids), ("map", options), ("set", []))


def rows(bridges: dict[str, list[InterfaceRow]]) -> Rows:
    """Bridges, with a port for each interface."""
    made = Rows()
    number = 0
    for name, interfaces in bridges.items():
        keys = []
        for row in interfaces:
            uuid, port = UUIDS[number], f"{UUIDS[number][:-1]}1"
            number += 1
            made.take(uuid, row)
            no_ids = ("map", [])
            made.take(port, PortRow(row.name, ("set", []), ("uuid", uuid), no_ids, no_ids))
            keys.append(["uuid", port])
        made.take(name, BridgeRow(name, ("set", []), ("set", keys)))
    return made


def test_bridges_that_patch_ports_connect_are_one() -> None:
    made = rows(
        {
            "br-a": [interface("a-b", type="patch", peer="b-a")],
            "br-b": [
                interface("b-a", type="patch", peer="a-b"),
                interface("b-c", type="patch", peer="c-b"),
            ],
            "br-c": [interface("c-b", type="patch", peer="b-c")],
            "br-d": [interface("d-x", type="patch", peer="nowhere")],
        }
    )
    domains = made.domains()
    assert domains["br-a"] == domains["br-b"] == domains["br-c"] != domains["br-d"]


def test_ports_of_neutrons_routers_forward() -> None:
    made = rows({"br": [interface("qr-1", iface_id="x"), interface("qr-2"), interface("tap")]})
    assert [True, False, False] == [said.forwards for said in made.statements().values()]


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_hostile_rows_come_fit_for_a_line(name: str) -> None:
    ids = dict.fromkeys(("iface_id", "vm_uuid", "attached_mac", "pod_name", "ip"), name)
    [said] = rows({"br": [interface(name, 70_000, name, **ids)]}).statements().values()
    for text in (*said.ports, said.logical_port, said.vm_id, said.pod):
        assert text.isprintable()
        assert len(text) <= 258


def test_what_has_not_changed_is_not_made_again() -> None:
    made = rows({"br": [interface("a"), interface("b")]})
    before = made.statements()
    made.take(UUIDS[1], interface("c"))
    after = made.statements()
    assert before[UUIDS[0]] is after[UUIDS[0]]
    assert ("c",) == after[UUIDS[1]].ports
    made.take("br", None)
    assert {} == made.statements()


def test_changes_that_come_at_once_are_told_together(
    server: OvsdbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = insert(server, "tap1", 1)
    followed = Followed(tmp_path)
    monkeypatch.setattr(ovsdb, "PACE", 3600.0)
    for ofport in range(2, 10):
        server.change("Interface", uuid, ofport=ofport)
    assert eventually(lambda: followed.at("br-tap1", 9) is not None)
    never_told = [
        port for port in range(1, 10) if not followed.knowledge.knows((IN_PORT, ("br-tap1", port)))
    ]
    assert never_told
    followed.source.close()


# OVN

SWITCH, LROUTER = UUIDS[:2]
DATAPATHS = {
    SWITCH: DatapathRow(1, ("map", [("logical-switch", SWITCH), ("name", "ls0")])),
    LROUTER: DatapathRow(2, ("map", [("logical-router", LROUTER), ("name", "lr0")])),
}


def binding(name: str, mac: Any, datapath: str = SWITCH, **ids: str) -> BindingRow:
    pairs = [(key.replace("_", ":", 1), value) for key, value in ids.items()]
    return BindingRow(("uuid", datapath), 1, name, mac, ("map", pairs))


def ports(*bindings: BindingRow) -> dict[str, Statement]:
    """What is said of each port of the bridge, by its name."""
    found = directory(DATAPATHS, {str(n): row for n, row in enumerate(bindings)})
    return {port.name: statement_of(port, "br-int") for port in found.logical_ports}


def test_logical_ports_are_named_as_neutron_and_cni_plugins_set_them() -> None:
    said = ports(
        binding(
            "id-1",
            "fa:16:3e:00:00:01 10.0.0.5 fd00::5",
            neutron_device_id="server-1",
            neutron_device_owner="compute:nova",
        ),
        binding("id-2", ("set", ["unknown"]), neutron_device_owner="network:dhcp"),
        binding("shop_cart-1", "0a:58:0a:00:00:05 10.0.0.6", namespace="shop", pod="true"),
        binding("web-0.shop", ("set", ["dynamic", "0a:58:0a:00:00:06 10.0.0.7"]), pod="shop/web-0"),
        binding("lrp0", "00:00:00:00:ff:01 10.0.0.1/24", LROUTER),
    )
    machine = said["id-1"]
    assert (bytes.fromhex("fa163e000001"),) == machine.macs
    assert 2 == len(machine.addresses)
    assert ("server-1", "ls0", "br-int") == (machine.vm_id, machine.network, machine.bridge)
    assert ((), (), "") == (said["id-2"].macs, said["id-2"].addresses, said["id-2"].vm_id)
    assert ("cart-1", "shop") == (said["shop_cart-1"].pod, said["shop_cart-1"].namespace)
    assert ("web-0", "shop") == (said["web-0.shop"].pod, said["web-0.shop"].namespace)
    router = said["lrp0"]
    assert ("lr0", "", True) == (router.router, router.network, router.forwards)
    assert (bytes([10, 0, 0, 1]),) == router.addresses


def test_ports_of_owners_are_told_while_they_are_known() -> None:
    known: dict[str, tuple[LogicalPort, ...]] = {}
    knowledge = Knowledge(threading)
    source = Southbound(True, SourceContext(knowledge, threading, (), lambda: known))

    def names() -> list[str]:
        source.attempt()
        mac = bytes.fromhex("020000000001")
        return [held.statement.logical_port for held in knowledge.at((MAC, mac), float("1e18"))]

    assert [] == names()
    assert "no bridge has an owner whose database is known" == source.trouble
    known["br-int"] = (LogicalPort("a", "ls0", False, ["02:00:00:00:00:01"]),)
    assert ["a"] == names()
    assert "" == source.trouble
    known["br-int"] = (LogicalPort("b", "ls0", False, ["02:00:00:00:00:01"]),)
    assert ["b"] == names()
    del known["br-int"]
    assert [] == names()


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_hostile_logical_ports_come_fit_for_a_line(name: str) -> None:
    [said] = ports(binding(name, name, namespace=name, pod="true")).values()
    for text in (said.logical_port, said.pod, said.namespace):
        assert text.isprintable()


def test_nothing_is_written_to_the_database(server: OvsdbServer, tmp_path: Path) -> None:
    asked: list[str] = []
    encode = jsonrpc.encode

    def noted(method: str, params: list[Any], number: int = 0) -> bytes:
        asked.append(method)
        return encode(method, params, number)

    insert(server, "tap1", 5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonrpc, "encode", noted)
        Followed(tmp_path).source.close()
    assert ["monitor"] == asked
