"""The sink pcapng: what Wireshark's programs read of its files, whole, growing, and in a FIFO."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from frames import IPV4, ethernet, ipv4, syn, udp
from record_drops import HOSTILE, METADATA, TIME, dropped, oxm, place
from sinks import spec

from ryu_droplog.model.drop import Drop
from ryu_droplog.model.errors import ConfigError
from ryu_droplog.packet.ethernet import decode
from ryu_droplog.records.bridges import BridgeDirectory
from ryu_droplog.records.context import EncoderContext
from ryu_droplog.records.maker import RecordMaker
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.pcapng import Pcapng

from . import wireshark
from .service import PATIENCE, eventually

NAMES = ["frame.interface_name", "frame.comment", "frame.len", "frame.cap_len", "frame.time_epoch"]


def sink(path: Path, **options: object) -> Pcapng:
    """A started sink; port 3 of br-int is tap3."""
    bridges = BridgeDirectory()
    bridges.learn_ports("br-int", {3: "tap3", 4: HOSTILE})
    context = SinkContext(
        threading, lambda drop: {"direction": "ingress", "port": "web 1"}, bridges=bridges
    )
    made = Pcapng(spec(Pcapng, "bytes", path=str(path), **options), context)
    made.start()
    return made


def put(made: Pcapng, *drops: Drop) -> None:
    """Have them written."""
    made.put(drops)
    eventually(lambda: made.waiting == 0, "drops are written")


def numbered(number: int, payload: bytes = b"") -> Drop:
    """A drop that is known again by its source port."""
    datagram = udp(10_000 + number, 53, 8 + len(payload)) + payload
    return dropped(ethernet(IPV4, ipv4("192.0.2.1", "198.51.100.2", 17, datagram)))


def ports(path: Path, cut_short: bool = False) -> list[int]:
    """The drops in a file."""
    rows = wireshark.fields(path, ["udp.srcport"], cut_short=cut_short)
    return [int(row["udp.srcport"]) - 10_000 for row in rows]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "drops.pcapng"


def test_each_packet_has_its_port_its_time_and_whose_it_was(path: Path) -> None:
    made = sink(path)
    first, unknown, hostile = (
        dropped(),
        dropped(metadata=oxm(0x8000, 0, (9).to_bytes(4, "big"))),
        dropped(metadata=oxm(0x8000, 0, (4).to_bytes(4, "big"))),
    )
    nowhere = dropped(metadata=b"", location=place("DENY", policy="no-http", bridge="br-ext"))
    nowhere.repeated = 19
    put(made, first, unknown, hostile, nowhere, first)
    made.close(PATIENCE)
    rows = wireshark.fields(path, NAMES)
    names = [row["frame.interface_name"] for row in rows]
    assert names[:2] + names[3:] == ["tap3", "br-int:9", "br-ext", "tap3"]
    assert names[2].isprintable()
    assert "\\x1b[2J\\u202e" in names[2]
    record = RecordMaker(EncoderContext("node-2")).make(first).record
    assert rows[0]["frame.comment"] == (
        'Acc-SEC_GROUP_IN_TABLE MISS IN_PORT=3 DIRECTION=ingress PORT="web 1" BRIDGE=br-int'
        f" SIGNATURE={record.signature}"
    )
    assert rows[3]["frame.comment"].startswith("Acc-SEC_GROUP_IN_TABLE DENY no-http DIRECTION=")
    assert rows[3]["frame.comment"].endswith(" REPEATED=19")
    assert {row["frame.time_epoch"] for row in rows} == {f"{TIME:.9f}"}
    assert {row["frame.len"] for row in rows} == {str(len(syn()))}
    said = wireshark.information(path)
    assert "Number of packets:   5" in said
    assert "Number of interfaces in file: 4" in said
    assert said.count("Time resolution = 0x09") == 4
    wireshark.rewritten(path, path.with_name("again.pcapng"))


def test_bytes_are_those_that_were_dropped(path: Path) -> None:
    made = sink(path)
    frame = ethernet(IPV4, ipv4("192.0.2.1", "198.51.100.2", 17, udp(9, 53, 11) + b"abc"))
    put(made, dropped(frame))
    made.close(PATIENCE)
    hexadecimal = subprocess.run(
        ["tshark", "-n", "-r", path, "-x"], capture_output=True, text=True, check=True
    ).stdout
    words = "".join("".join(line[6:53].split()) for line in hexadecimal.splitlines())
    assert bytes.fromhex(words) == frame


@pytest.mark.parametrize(
    ("options", "kept"), [({"snaplen": 20}, 20), ({"payload": "headers"}, 42), ({}, 142)]
)
def test_what_is_left_of_a_packet(path: Path, options: dict[str, object], kept: int) -> None:
    made = sink(path, **options)
    put(made, numbered(1, b"x" * 100))
    made.close(PATIENCE)
    [row] = wireshark.fields(path, ["frame.len", "frame.cap_len"])
    assert row == {"frame.len": "142", "frame.cap_len": str(kept)}


def test_file_is_read_while_it_grows(path: Path) -> None:
    made = sink(path)
    assert wireshark.fields(path, ["frame.len"]) == []
    for number in range(3):
        put(made, numbered(number))
        assert ports(path) == list(range(number + 1))
    made.close(PATIENCE)


def test_files_have_a_section_each_and_no_more_bytes_than_they_may(path: Path) -> None:
    made = sink(path, rotate={"bytes": 2_000, "files": 3, "compress": True})
    put(made, *map(numbered, range(30)))
    for number in range(30, 40):
        put(made, numbered(number))
    made.close(PATIENCE)
    made = sink(path, rotate={"bytes": 2_000, "files": 3, "compress": True})
    eventually(lambda: path.with_name("drops.pcapng.3.gz").exists(), "archives are compressed")
    made.close(PATIENCE)
    files = [path.with_name(f"drops.pcapng.{number}") for number in (3, 2, 1)]
    found: list[int] = []
    for file in files:
        compressed = file.with_name(f"{file.name}.gz")
        file = file if file.exists() else compressed
        found += ports(file)
        assert "Number of interfaces in file: 1" in wireshark.information(file)
    assert found == list(range(found[0], 40))
    assert ports(path) == []


def test_started_again_it_begins_a_file_and_keeps_the_old_one(path: Path) -> None:
    for number in range(3):
        made = sink(path)
        put(made, numbered(number))
        made.close(PATIENCE)
    sink(path).close(PATIENCE)  # nothing comes: the next start takes the same file
    made = sink(path)
    put(made, numbered(3))
    made.close(PATIENCE)
    names = ["drops.pcapng", "drops.pcapng.1", "drops.pcapng.2", "drops.pcapng.3"]
    assert sorted(os.listdir(path.parent)) == names
    assert [ports(path.with_name(name)) for name in names] == [[3], [2], [1], [0]]


@pytest.mark.parametrize("how", ["moved", "removed", "emptied"])
def test_rotated_by_others_it_begins_with_a_section(path: Path, how: str) -> None:
    made = sink(path)
    put(made, numbered(1))
    if how == "moved":
        path.rename(path.with_name("moved"))
    elif how == "removed":
        path.unlink()
    else:
        os.truncate(path, 0)
    put(made, numbered(2), numbered(3))
    made.close(PATIENCE)
    assert ports(path) == [2, 3]


def test_two_sinks_while_settings_change_have_a_file_each(path: Path) -> None:
    old = sink(path)
    put(old, numbered(1))
    new = sink(path)
    put(new, numbered(2))
    put(old, numbered(3))
    put(new, numbered(4))
    old.close(PATIENCE)
    new.close(PATIENCE)
    assert ports(path) == [2, 4]
    assert ports(path.with_name("drops.pcapng.1")) == [1, 3]


def test_drop_of_any_time_and_length_is_written(path: Path) -> None:
    made = sink(path)
    for seconds in (-5.0, 0.0, 4e9, 1e300):
        put(made, decode(syn(), seconds, place(), METADATA))
    put(made, dropped(b""), dropped(b"\x01"), dropped(bytes(65_549)))
    made.close(PATIENCE)
    rows = wireshark.fields(path, ["frame.len"])
    assert [row["frame.len"] for row in rows] == ["74"] * 4 + ["0", "1", "65549"]
    assert (made.written, made.failed) == (7, 0)


@pytest.fixture
def fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def test_reader_of_a_fifo_has_each_packet_as_it_comes(fifo: Path) -> None:
    for first in (0, 10):  # a second reader has a section of its own
        with subprocess.Popen(
            ["tshark", "-n", "-l", "-i", fifo, "-T", "fields", "-e", "udp.srcport"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as reader:
            assert reader.stdout is not None
            made = started(fifo)
            for number in range(first, first + 3):
                put(made, numbered(number))
                assert int(reader.stdout.readline()) == 10_000 + number
            made.close(PATIENCE)
            assert reader.wait(PATIENCE) == 0


def started(fifo: Path) -> Pcapng:
    """The sink, once the FIFO has its reader."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return sink(fifo)
        except ConfigError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_what_follows_a_growing_file_reads_it(path: Path) -> None:
    made = sink(path)
    with (
        subprocess.Popen(["tail", "-c", "+0", "-f", path], stdout=subprocess.PIPE) as tail,
        subprocess.Popen(
            ["tshark", "-n", "-l", "-i", "-", "-T", "fields", "-e", "udp.srcport"],
            stdin=tail.stdout,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as reader,
    ):
        assert reader.stdout is not None
        for number in range(3):
            put(made, numbered(number))
            assert int(reader.stdout.readline()) == 10_000 + number
        tail.kill()
    made.close(PATIENCE)
