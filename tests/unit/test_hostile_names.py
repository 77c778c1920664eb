"""Hostile names at every place where text of others enters, in all that comes out.

A real database cannot be given each of these names (ovsdb-server refuses some), nor can a switch:
what they would say is put on a real socket, or into the bytes of their answer.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import drops
import pytest
from book_rows import rows as book_rows
from click.testing import CliRunner
from hostile import NAMES, check, check_fields
from odd_database import OddDatabase, replies, tables

from ryu_droplog.cli import main
from ryu_droplog.config import loader
from ryu_droplog.config.filter_spec import parse_filter
from ryu_droplog.config.opflex_directory import ControlDirectory
from ryu_droplog.doctor import checkup, page
from ryu_droplog.doctor.examine import examine
from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.model.drop import Drop, Explain
from ryu_droplog.model.location import DropFlow, Location
from ryu_droplog.openflow.connection import error_text
from ryu_droplog.openflow.flow_stats import Effect, Flow
from ryu_droplog.openflow.replies import ports_of, software_of
from ryu_droplog.openflow.requests import port_names
from ryu_droplog.openflow.tables import parse_table_features
from ryu_droplog.ovsdb.southbound import Southbound
from ryu_droplog.owners.base import Names
from ryu_droplog.owners.detection import owner_named
from ryu_droplog.owners.explanations import Explanations
from ryu_droplog.owners.opflex_names import POLICY_FILE, OpflexNames, PolicyNames
from ryu_droplog.packet.packet_in import DropRecord
from ryu_droplog.pipelines.loader import load_pipelines
from ryu_droplog.reconcile.planner import Snapshot, plan
from ryu_droplog.records.context import explain_nothing
from ryu_droplog.sinks.formats import as_json, text_format
from ryu_droplog.sinks.packet_events import packet_event
from ryu_droplog.sources.locations import Locations

PIPELINES = load_pipelines(None)
UUID = "deadbeef-0000-4000-8000-000000000001"
COOKIE, DATAPATH = 0xDEADBEEF, 7
METADATA = bytes.fromhex("80000408 0000000000000007")  # OXM_OF_METADATA
PACKET = METADATA + bytes.fromhex("00011c0400000001 00011e0400000002")  # registers 14, 15
AT_PORT_3 = bytes.fromhex("8000000400000003 00010a0400000003 0001d20400000021")

names = pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)


def locations(pipeline: str = "auto") -> Locations:
    return Locations("br-int", "br-int", None, PIPELINES[pipeline], SourceBooks())


def drop(where: Location, metadata: bytes = b"") -> Drop:
    return drops.drop(where=where, time=1700000000.25, metadata=metadata)


def features(table_id: int, name: str) -> bytes:
    """One table of OFPMP_TABLE_FEATURES, without properties."""
    raw = name.encode("utf-8", "surrogatepass")[:32]
    return struct.pack("!HB5x32sQQII", 64, table_id, raw, 0, 0, 0, 1_000_000)


def rows(name: str) -> dict[str, list[dict[str, Any]]]:
    """What both databases answer, with the name wherever there can be one."""
    acl = name.replace("\\", "\\\\").replace('"', '\\"')
    uuid = ["uuid", UUID]
    return {
        "Open_vSwitch": [{"external_ids": ["map", []], "other_config": ["map", [[name, name]]]}],
        "SSL": [],
        "Logical_Flow": [
            {
                "_uuid": uuid,
                "match": name,
                "actions": f'log(name="{acl}", verdict=drop); /* drop */',
                "external_ids": ["map", [["stage-name", name], ["stage-hint", name]]],
            }
        ],
        "Datapath_Binding": [
            {"_uuid": uuid, "tunnel_key": DATAPATH, "external_ids": ["map", [["name", name]]]}
        ],
        "Port_Binding": [
            {
                "_uuid": ["uuid", f"{UUID[:-1]}{key}"],
                "datapath": uuid,
                "tunnel_key": key,
                "logical_port": name,
            }
            for key in (1, 2)
        ],
        "Bridge": [
            {"protocols": name, "datapath_type": name, "controller": uuid},
        ],
        "Controller": [
            {
                "_uuid": uuid,
                "target": name,
                "external_ids": ["map", []],
                "controller_rate_limit": ["set", []],
            }
        ],
        "Interface": [{"type": name}],
    }


@contextmanager
def databases(folder: Path, name: str) -> Iterator[str]:
    """The run directory of an Open vSwitch whose databases are full of the name."""
    content = rows(name)
    remote = f"unix:{folder}/db.sock"
    content["Open_vSwitch"][0]["external_ids"][1].append(["ovn-remote", remote])
    with OddDatabase(folder / "db.sock", tables(content)):
        yield str(folder)


# Places in a drop


def explainer(owner: str, names: Names) -> Explain:
    explanations = Explanations()
    explanations.set("br-int", owner_named(owner), names)
    return explanations.explain


def from_switch_table(name: str, folder: Path) -> tuple[Drop, Explain]:
    where = locations()
    where.learn_names(parse_table_features([features(4, name)])[0])
    return drop(where.of_table(4, "MISS")), explain_nothing


def from_southbound(name: str, folder: Path) -> tuple[Drop, Explain]:
    flow = Flow(16, 2000, COOKIE, METADATA, 0, 0, Effect())
    with databases(folder, name) as rundir:
        southbound = Southbound(rundir, quiet=True)
        assert southbound.refresh([flow])
    assert southbound.is_drop(COOKIE)
    where = locations("ovn")
    flow_words = DropFlow(COOKIE, 2000, "tcp,tp_dst=80", southbound.names(COOKIE))
    explain = explainer("ovn", Names(database=southbound))
    return drop(where.explicit(16, flow_words), PACKET), explain


PORT = struct.Struct("!I12x16s32x")
"""ofp_port, number and name (OpenFlow 1.3.5 section 7.2.1)."""
DESCRIPTION = struct.Struct("!512x256s288x")
"""ofp_desc, software description (section 7.3.5.1)."""


def from_neutron_port(name: str, folder: Path) -> tuple[Drop, Explain]:
    raw = name.encode("utf-8", "surrogatepass")[:16]
    connection: Any = SimpleNamespace(ports=ports_of(PORT.pack(3, raw)))
    where = locations("neutron")
    explain = explainer("neutron", Names(port_names(connection)))
    return drop(where.of_table(72, "MISS"), AT_PORT_3), explain


def from_policy_file(name: str, folder: Path) -> tuple[Drop, Explain]:
    raw = name.encode("utf-8", "surrogatepass")
    entry = struct.pack("=IH", 9, len(raw)) + raw
    (folder / POLICY_FILE).write_bytes(struct.pack("=8sI", b"opflexid", 1) + entry)
    policies = PolicyNames(str(folder))
    policies.poll()
    where = locations("opflex-access")
    where.learn_opflex_names(OpflexNames(policies.names))
    return drop(where.recorded(DropRecord(4, 1, 9, 0, 0), 9)), explain_nothing


PLACES: dict[str, Callable[[str, Path], tuple[Drop, Explain]]] = {
    "table name of the switch": from_switch_table,
    "names of the southbound database": from_southbound,
    "port name of the switch": from_neutron_port,
    "policy name of the OpFlex agent": from_policy_file,
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@names
def test_drop_is_one_line_without_forged_fields_in_every_format(
    place: Callable[[str, Path], tuple[Drop, Explain]], name: str, tmp_path: Path
) -> None:
    one, explainer = place(name, tmp_path)
    for form in ("opflex", "extended"):
        for render in text_format(form, explainer):
            check_fields(render(one))
            check_fields(render(one).encode("ascii", "backslashreplace").decode())
    text = as_json(one, explainer)
    told = json.loads(text)
    check(text)
    check("\n".join(texts(told)), lines=None)
    event = json.loads(packet_event(one))
    check(event["DropReason"])
    check(packet_event(one).decode())


def texts(told: Any) -> Iterator[str]:
    """All texts in an object of JSON, as who parses it has them."""
    if isinstance(told, str):
        yield told
    elif isinstance(told, dict):
        for key, value in told.items():
            yield from (key, *texts(value))
    elif isinstance(told, list):
        for value in told:
            yield from texts(value)


@pytest.mark.parametrize("name", ["no-http", "größe", "a:b/c", "x" * 63])
def test_ordinary_acl_stands_in_the_line_as_it_is(name: str, tmp_path: Path) -> None:
    one, explainer = from_southbound(name, tmp_path)
    assert one.location.drop_reason == f"{name} DENY {name}"
    assert text_format("opflex", explainer).bare(one).startswith(f"{name} DENY {name}  SMAC=")


# Places in messages


@names
def test_refusal_of_a_database_is_one_line(name: str, tmp_path: Path) -> None:
    with OddDatabase(tmp_path / "db.sock", replies(None, {"error": name, "details": [name]})):
        southbound = Southbound(str(tmp_path))
        assert not southbound.refresh([])
        check(southbound.trouble)


@names
def test_remote_of_the_database_is_told_on_one_line(name: str, tmp_path: Path) -> None:
    content = rows("x")
    content["Open_vSwitch"][0]["external_ids"][1].append(["ovn-remote", name])
    flow = Flow(16, 2000, COOKIE, METADATA, 0, 0, Effect())
    with OddDatabase(tmp_path / "db.sock", tables(content)):
        southbound = Southbound(str(tmp_path))
        assert not southbound.refresh([flow])
        check(southbound.trouble)


@names
def test_hello_refused_is_told_on_one_line(name: str) -> None:
    data = name.encode("utf-8", "surrogatepass")
    check(error_text(SimpleNamespace(type=0, code=0, data=data)))


@names
def test_control_files_are_told_of_on_one_line(name: str, tmp_path: Path) -> None:
    file = f"{name.replace('/', '')[:60]}.droplogcfg".replace("\0", "")
    with suppress(UnicodeEncodeError):  # a name that no file can have
        (tmp_path / file).write_text("no JSON")
    content = {"drop-log-enable": True, "drop-log-pruning": {name: {"sip": name}}}
    (tmp_path / "a.droplogcfg").write_text(json.dumps(content))
    (tmp_path / "b.dropflowcfg").write_text(json.dumps({"uuid": name, "inner-src-mac": name}))
    directory = ControlDirectory(str(tmp_path), parse_filter)
    directory.poll()
    assert directory.notices
    for notice in directory.notices:
        check(notice)
    for one in directory.state.filters:
        check(one.name)


@names
def test_page_of_the_doctor_and_the_plan_have_their_own_lines_alone(
    name: str, tmp_path: Path
) -> None:
    with databases(tmp_path, name):
        database = checkup._database(f"{tmp_path}/db.sock", "br0")
    assert database is not None
    settings = loader.parse("bridges: [{name: br0}]", "droplog.yaml")
    found, limits = parse_table_features([features(table, name) for table in (0, 1)])
    arp = bytes.fromhex("80000a020806")
    snapshot = Snapshot(
        [Flow(0, 9, 7, arp, 0, 0, Effect()), Flow(1, 0, 7, b"", 0, 0, Effect())], found, limits
    )
    seen = checkup.Checkup(
        snapshot=snapshot,
        bundles=True,
        max_meter=99,
        database=database,
        version=software_of(DESCRIPTION.pack(name.encode("utf-8", "surrogatepass"))),
    )
    report = examine(settings.bridges[0], PIPELINES, settings, seen)
    expected = len(
        page.as_page(examine(settings.bridges[0], PIPELINES, settings, ORDINARY)).split("\n")
    )
    text = page.as_page(report)
    check(text, lines=None)
    assert expected >= len(text.split("\n")) - 3  # a controller and a datapath may be remarked on
    for table in plan(PIPELINES["auto"], snapshot).tables:
        check(table.name)
        check(table.why)


ORDINARY = checkup.Checkup(
    snapshot=Snapshot(
        [
            Flow(0, 9, 7, bytes.fromhex("80000a020806"), 0, 0, Effect()),
            Flow(1, 0, 7, b"", 0, 0, Effect()),
        ]
    ),
    bundles=True,
    max_meter=99,
    database=checkup.Database(datapath="system"),
)


@names
def test_status_prints_what_a_program_answers_on_its_own_lines(name: str, tmp_path: Path) -> None:
    state = {"connected": False, "books": books(name), "pruned_by": {name: 3}}
    answer = {
        "pid": 1,
        "configuration": {"source": name, "enable": True, "refused": name or "x"},
        "bridges": {name: state},
        "receive": {},
        "sinks": {name: {}},
    }
    path = tmp_path / f"{os.getpid()}.sock"
    configuration = tmp_path / "droplog.yaml"
    configuration.write_text(f"run_directory: {tmp_path}\n")
    with telling(path, json.dumps(answer).encode()):
        done = CliRunner().invoke(main, ["status", "--config", str(configuration)])
    assert not isinstance(done.exception, UnicodeError)
    printed = done.output.removesuffix("\n")
    for line in printed.split("\n"):
        assert line.isprintable()
    assert "3 by " in printed


def books(name: str) -> dict[str, Any]:
    table = book_rows((name, {}))["0"]
    return {"0": table, "": table}


@contextmanager
def telling(path: Path, data: bytes) -> Iterator[None]:
    """A status socket that tells this to everybody."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen()

        def serve() -> None:
            with suppress(OSError):
                while True:
                    visitor = listening.accept()[0]
                    with visitor:
                        visitor.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield
        finally:
            listening.shutdown(socket.SHUT_RDWR)
