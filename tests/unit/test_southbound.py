"""What is known of OVN's logical flows, and what its database is asked: with a real ovsdb-server.

What it is asked is seen in what comes back: `Southbound` is the same with `quiet`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from os_ken.lib import hub
from ovsdb_server import OvsdbServer, ovsdb_server
from waiting import eventually

from ryu_droplog.openflow.flow_stats import Effect, Flow
from ryu_droplog.ovsdb import southbound as module
from ryu_droplog.ovsdb.client import Client, Select
from ryu_droplog.ovsdb.southbound import Southbound
from ryu_droplog.ovsdb.southbound_rows import cookie_of
from ryu_droplog.ovsdb.southbound_servers import DATABASE, Remotes, find_southbound

KEY = 7


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OvsdbServer]:
    """OVN's southbound database, which the database of Open vSwitch names."""
    with (
        ovsdb_server(tmp_path, "Open_vSwitch") as local,
        ovsdb_server(tmp_path, DATABASE, "southbound.sock") as southbound,
    ):
        remote = f"unix:{tmp_path}/nobody.sock, unix:{southbound.socket}"
        ids = [["system-id", "host"], ["ovn-remote", "tcp:x"], ["ovn-remote-host", remote]]
        local.insert("Open_vSwitch", external_ids=["map", ids])
        yield southbound


@pytest.fixture(autouse=True)
def threads_of_the_native_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is followed in a thread; this process has the standard library's sockets.

    A thread of eventlet, the only hub of os-ken 3.1.1, would wait at them for all others.
    """
    monkeypatch.setattr(hub, "HUB_TYPE", "native")


@pytest.fixture
def southbound(tmp_path: Path, server: OvsdbServer) -> Iterator[Southbound]:
    """As a running program has it."""
    made = Southbound(str(tmp_path), quiet=True, follow=True)
    yield made
    made.close()


class Questions:
    """Counts the tables that are asked for: each is a look at all of its rows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tables: list[str] = []
        ask = Client.select_all

        def select_all(client: Client, selects: list[Select[Any]]) -> list[list[Any]]:
            answers = ask(client, selects)
            self.tables += [select.table for select in selects]
            return answers

        monkeypatch.setattr(Client, "select_all", select_all)

    def of_the_southbound_database(self) -> list[str]:
        """Those since the last time, in order."""
        asked, self.tables = self.tables, []
        return [table for table in asked if table not in ("Open_vSwitch", "SSL")]


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> Questions:
    return Questions(monkeypatch)


def logical_flow(server: OvsdbServer, actions: str, priority: int = 2000, **ids: str) -> str:
    return server.insert(
        "Logical_Flow",
        pipeline="ingress",
        table_id=4,
        priority=priority,
        match="ip4 && tcp.dst == 80",
        actions=actions,
        external_ids=["map", [["stage-name", "ls_in_acl"], *map(list, ids.items())]],
    )


def flow(uuid: str, priority: int = 2000, key: int = KEY) -> Flow:
    match = bytes.fromhex("80000408") + key.to_bytes(8, "big")
    return Flow(12, priority, cookie_of(uuid), match, 0, 0, Effect())


def datapath(server: OvsdbServer, key: int = KEY, **ids: str) -> str:
    external_ids = ["map", list(map(list, ids.items()))]
    return server.insert("Datapath_Binding", tunnel_key=key, external_ids=external_ids)


def port(server: OvsdbServer, datapath: str, key: int, name: str) -> str:
    binding = ["uuid", datapath]
    return server.insert("Port_Binding", datapath=binding, tunnel_key=key, logical_port=name)


def test_servers_are_found_as_ovn_controller_finds_them(
    tmp_path: Path, server: OvsdbServer
) -> None:
    addresses = (f"unix:{tmp_path}/nobody.sock", f"unix:{server.socket}")
    assert Remotes(addresses, None) == find_southbound(str(tmp_path))


@pytest.mark.parametrize("follow", [False, True])
def test_drops_are_named_from_the_database(
    tmp_path: Path, server: OvsdbServer, follow: bool
) -> None:
    log = 'log(name="no-http", verdict=drop); /* drop */'
    drops, goes_on = logical_flow(server, log, **{"stage-hint": "abcd"}), logical_flow(server, "x;")
    binding = datapath(server, name="neutron-1", name2="net", **{"logical-switch": "x"})
    router = datapath(server, 8, name="lr0", **{"logical-router": "x"})
    port(server, binding, 1, "vm1")
    port(server, router, 1, "lr0-ls0")
    found = Southbound(str(tmp_path), quiet=True, follow=follow)
    unknown = flow("12345678")
    assert found.refresh([flow(drops), flow(goes_on, key=8), unknown])
    assert [True, False, False] == [
        found.is_drop(cookie) for cookie in (cookie_of(drops), cookie_of(goes_on), unknown.cookie)
    ]
    expected = {"stage": "ls_in_acl", "acl": "no-http", "hint": "abcd"}
    assert {**expected, "logical": "ip4 && tcp.dst == 80"} == found.names(cookie_of(drops))
    assert {} == found.names(unknown.cookie)
    names = found.directory()
    assert {7: ("net", "switch"), 8: ("lr0", "router")} == names.datapaths
    assert {(7, 1): "vm1", (8, 1): "lr0-ls0"} == names.ports
    found.close()


def test_nothing_is_asked_twice(
    server: OvsdbServer, southbound: Southbound, questions: Questions
) -> None:
    """Formerly datapaths and ports were, at each look: two whole tables."""
    flows = [flow(logical_flow(server, "drop;")), flow("12345678"), flow("12345679", key=9)]
    datapath(server)
    assert southbound.refresh(flows)
    asked = ["Logical_Flow", *["Datapath_Binding"] * 2, "Port_Binding"]
    assert asked == questions.of_the_southbound_database()
    assert not southbound.refresh(flows)
    assert [] == questions.of_the_southbound_database()


def test_new_logical_flow_is_known_without_a_question(
    server: OvsdbServer, southbound: Southbound, questions: Questions
) -> None:
    """Formerly each new priority was a look at all logical flows, by each node of a fleet."""
    southbound.refresh([flow(logical_flow(server, "drop;"))])
    questions.of_the_southbound_database()
    for priority in range(3000, 3005):
        uuid = logical_flow(server, "drop;", priority)
        assert eventually(lambda uuid=uuid: southbound.is_drop(cookie_of(uuid)))
        southbound.refresh([flow(uuid, priority)])
    assert [] == questions.of_the_southbound_database()


def test_logical_flow_that_is_seen_before_it_arrives_is_news(
    server: OvsdbServer, southbound: Southbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from a member of the database's cluster that is behind."""
    monkeypatch.setattr(module, "ARRIVAL_TIME", 0.0)
    uuid = logical_flow(server, "drop;")
    server.delete("Logical_Flow", uuid)
    late = "11112222-0000-4000-8000-000000000001"
    southbound.refresh([flow(late)])
    assert not southbound.is_drop(cookie_of(late))
    row = {"pipeline": "ingress", "table_id": 1, "priority": 1, "match": "ip", "actions": "drop;"}
    insert = {"op": "insert", "table": "Logical_Flow", "row": row, "uuid": late}
    server.client().run(insert)
    assert eventually(lambda: southbound.is_drop(cookie_of(late)))
    assert southbound.refresh([flow(late)])
    server.delete("Logical_Flow", late)
    assert eventually(lambda: not southbound.is_drop(cookie_of(late)))


def test_names_follow_the_database(
    server: OvsdbServer, southbound: Southbound, questions: Questions
) -> None:
    binding = datapath(server, name="ls0")
    first = port(server, binding, 1, "vm1")
    flows = [flow(logical_flow(server, "drop;"))]
    southbound.refresh(flows)
    questions.of_the_southbound_database()
    port(server, binding, 2, "vm2")
    port(server, datapath(server, 99, name="elsewhere"), 1, "far")
    server.change("Port_Binding", first, logical_port="vm1-new")
    server.change("Datapath_Binding", binding, external_ids=["map", [["name", "ls0-new"]]])
    ports = {(KEY, 1): "vm1-new", (KEY, 2): "vm2"}
    assert eventually(lambda: ports == southbound.directory().ports)
    datapaths = {KEY: ("ls0-new", "switch")}
    assert eventually(lambda: datapaths == southbound.directory().datapaths)
    assert southbound.refresh(flows)
    server.delete("Port_Binding", first)
    assert eventually(lambda: {(KEY, 2): "vm2"} == southbound.directory().ports)
    assert [] == questions.of_the_southbound_database()


def test_datapath_that_comes_later_is_named(server: OvsdbServer, southbound: Southbound) -> None:
    southbound.refresh([flow(logical_flow(server, "drop;"))])
    assert {} == southbound.directory().datapaths
    port(server, datapath(server, name="ls0"), 1, "vm1")
    assert eventually(lambda: {(KEY, 1): "vm1"} == southbound.directory().ports)


def test_database_that_was_away_is_asked_anew(
    server: OvsdbServer, southbound: Southbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(module, "LONGEST_PAUSE", 0.0)
    binding = datapath(server, name="ls0")
    flows = [flow(logical_flow(server, "drop;")), flow("12345678")]
    southbound.refresh(flows)
    server.stop()
    assert eventually(lambda: not southbound.refresh(flows) and bool(southbound.trouble))
    assert southbound.is_drop(flows[0].cookie)
    server.start()
    server.change("Datapath_Binding", binding, external_ids=["map", [["name", "new"]]])
    assert eventually(lambda: southbound.refresh(flows))
    assert "" == southbound.trouble
    assert {KEY: ("new", "switch")} == southbound.directory().datapaths


def test_no_more_than_so_many_are_remembered_and_those_that_are_needed(
    server: OvsdbServer, southbound: Southbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 3)
    old = [flow(logical_flow(server, "drop;")) for _ in range(3)]
    new = [flow(logical_flow(server, "drop;")) for _ in range(5)]
    southbound.refresh(old)
    assert all(southbound.is_drop(each.cookie) for each in old)
    southbound.refresh(new)
    assert not any(southbound.is_drop(each.cookie) for each in old)
    assert 3 == sum(southbound.is_drop(each.cookie) for each in new)


def test_closed_it_asks_nothing(southbound: Southbound, questions: Questions) -> None:
    southbound.close()
    assert not southbound.refresh([flow("12345678")])
    assert [] == questions.tables
