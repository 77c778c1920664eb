"""One program, one switch: what the sinks of files and flows have of each drop, over a reload."""

from __future__ import annotations

import gzip
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from pcapng import FileScanner
from pcapng.blocks import EnhancedPacket, InterfaceDescription
from private_ovs import PrivateSwitch, send_frame

from .packets import IPV4, ethernet, ipv4, udp
from .program import Program, add_flows, eventually, watched
from .reloads import config, reload

pytestmark = pytest.mark.ovs

BRIDGE, GUEST = "br-files", "files"
ENDS = socket.inet_aton("10.2.0.229") + socket.inet_aton("10.2.0.195")
"""Of each data record, the two addresses."""
OPEN = {"rate": 100_000, "burst": 10_000}


def frame(number: int) -> bytes:
    """A datagram that is known again by its source port, with a payload."""
    return ethernet(IPV4, ipv4("10.2.0.229", "10.2.0.195", 17, udp(10_000 + number, 53) + b"!"))


def settings(tmp_path: Path, port: int, snaplen: int) -> dict[str, Any]:
    """Three sinks: records, the bytes, flows."""
    rotate = {"bytes": 5_000, "files": 100, "compress": True}
    sinks = [
        {"name": "records", "type": "file", "path": "drops.json", "rotate": rotate},
        {"name": "bytes", "type": "pcapng", "path": "drops.pcapng", "snaplen": snaplen},
        {"name": "flows", "type": "ipfix", "to": f"udp:127.0.0.1:{port}"},
    ]
    bridges = [{"name": BRIDGE}]
    return {"bridges": bridges, "meter": OPEN, "log_directory": str(tmp_path), "sinks": sinks}


def records(folder: Path) -> list[dict[str, Any]]:
    """The records in all files, in the order of their ports."""
    made = []
    for path in folder.glob("drops.json*"):
        data = path.read_bytes()
        lines = (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines()
        made += [json.loads(line) for line in lines]
    return sorted(made, key=lambda record: int(record["source"]["port"]))


def captured(path: Path) -> list[tuple[str, bytes, int]]:
    """Interface, bytes and length of each packet."""
    names: list[str] = []
    found = []
    with path.open("rb") as file:
        for block in FileScanner(file):
            if isinstance(block, InterfaceDescription):
                names.append(block.options["if_name"])
            elif isinstance(block, EnhancedPacket):
                name = names[block.interface_id]
                found.append((name, block.packet_data, block.packet_len))
    return found


def test_every_sink_has_every_drop_over_a_reload(switch: PrivateSwitch, tmp_path: Path) -> None:
    switch.add_bridge(BRIDGE)
    switch.guest(GUEST, BRIDGE)
    add_flows(switch, BRIDGE, "priority=5,arp,actions=goto_table:1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.bind(("127.0.0.1", 0))
        collector.settimeout(0.2)
        port = collector.getsockname()[1]
        with Program(switch, config(**settings(tmp_path, port, 65_535))) as program:
            assert [0, 1] == eventually([0, 1], lambda: watched(switch, BRIDGE))
            for number in range(20):
                send_frame(GUEST, "eth0", frame(number))
            assert eventually(20, lambda: len(records(tmp_path))) == 20
            reload(program, **settings(tmp_path, port, 20))
            for number in range(20, 40):
                send_frame(GUEST, "eth0", frame(number))
            assert eventually(40, lambda: len(records(tmp_path))) == 40
            assert 0 == program.end()
        flows = 0
        while True:
            try:
                flows += collector.recv(65_535).count(ENDS)
            except TimeoutError:
                break
    assert [10_000 + number for number in range(40)] == [
        record["source"]["port"] for record in records(tmp_path)
    ]
    first, second = captured(tmp_path / "drops.pcapng.1"), captured(tmp_path / "drops.pcapng")
    assert [frame(number) for number in range(20)] == [data for _, data, _ in first]
    assert [frame(number)[:20] for number in range(20, 40)] == [data for _, data, _ in second]
    assert {len(frame(0))} == {length for _, _, length in [*first, *second]}
    assert {records(tmp_path)[0]["port"]["name"]} == {name for name, _, _ in [*first, *second]}
    assert 40 == flows
    assert "Traceback" not in program.said()
