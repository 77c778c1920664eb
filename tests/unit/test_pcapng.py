"""Captures as python-pcapng reads them: blocks, interfaces of each file, and full disks."""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from drops import location
from frames import IPV4, ethernet, ipv4, udp
from pcapng import FileScanner
from pcapng.blocks import EnhancedPacket, InterfaceDescription, SectionHeader
from record_drops import oxm
from sinks import spec
from waiting import eventually

from ryu_droplog.model.drop import Drop
from ryu_droplog.packet.ethernet import decode
from ryu_droplog.records.bridges import BridgeDirectory
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.pcapng import Pcapng

PATIENCE = 60.0
wait_until = partial(eventually, patience=PATIENCE)


def drop(number: int, port: int = 1) -> Drop:
    """A drop of a port, known again by its source port."""
    frame = ethernet(IPV4, ipv4("192.0.2.1", "198.51.100.2", 17, udp(10_000 + number, 53)))
    metadata = oxm(0x8000, 0, port.to_bytes(4, "big"))
    return decode(frame, 1_700_000_000.5, location(4), metadata)


def sink(path: Path, bridges: BridgeDirectory | None = None, **options: Any) -> Pcapng:
    """A started sink."""
    context = SinkContext(threading, bridges=bridges or BridgeDirectory())
    made = Pcapng(spec(Pcapng, "bytes", path=str(path), **options), context)
    made.start()
    return made


def put(made: Pcapng, *drops: Drop) -> None:
    """Have them written, or fail."""
    made.put(drops)
    assert wait_until(lambda: made.waiting == 0)


def blocks(path: Path) -> list[Any]:
    """Every block of a file; raises where one is cut or wrong."""
    with path.open("rb") as file:
        return list(FileScanner(file))


def packets(path: Path) -> list[tuple[str, int]]:
    """The name of each packet's interface, and which drop it is; the file has one section."""
    section, *rest = blocks(path)
    assert isinstance(section, SectionHeader)
    names: list[str] = []
    found = []
    for block in rest:
        if isinstance(block, InterfaceDescription):
            names.append(block.options["if_name"])
        else:
            assert isinstance(block, EnhancedPacket)
            name = names[block.interface_id]
            found.append((name, int.from_bytes(block.packet_data[34:36], "big") - 10_000))
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "drops.pcapng"


def test_blocks_say_who_wrote_them_where_and_when(path: Path) -> None:
    made = sink(path, snaplen=40)
    put(made, drop(1))
    made.close(PATIENCE)
    section, interface, packet = blocks(path)
    assert section.options["shb_userappl"].startswith("ryu_droplog ")
    assert ("br-int:1", "bridge br-int, port 1", 40) == (
        interface.options["if_name"],
        interface.options["if_description"],
        interface.snaplen,
    )
    assert (1, 1e-9) == (interface.link_type, interface.timestamp_resolution)
    assert 1_700_000_000.5 == packet.timestamp
    assert (40, 42) == (packet.captured_len, packet.packet_len)
    assert packet.options["opt_comment"].startswith("TABLE_4 MISS IN_PORT=1 BRIDGE=br-int SIGN")
    assert 0o640 == path.stat().st_mode & 0o777


def test_every_file_has_the_interfaces_of_its_own_packets(path: Path) -> None:
    made = sink(path, rotate={"bytes": 1500, "files": 100})
    put(made, *[drop(number, number // 4) for number in range(4, 40)])
    made.close(PATIENCE)
    found = []
    files = sorted(
        path.parent.iterdir(),
        key=lambda file: -int((file.suffix[1:] + "0")[:-1] or 0) if file != path else 0,
    )
    for file in files:
        assert 1500 >= file.stat().st_size
        found += packets(file)
        named = {name for name, _ in packets(file)}
        assert len(named) == sum(isinstance(b, InterfaceDescription) for b in blocks(file))
    assert [(f"br-int:{number // 4}", number) for number in range(4, 40)] == found


def test_port_that_gets_another_name_is_another_interface(path: Path) -> None:
    bridges = BridgeDirectory()
    bridges.learn_ports("br-int", {1: "tapa"})
    made = sink(path, bridges)
    put(made, drop(1))
    bridges.learn_ports("br-int", {1: "tapb"})
    put(made, drop(2))
    made.close(PATIENCE)
    assert [("tapa", 1), ("tapb", 2)] == packets(path)


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """No file of this process grows beyond so many bytes: what a full disk does, but for errno."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("surplus", range(-300, 20, 37))
def test_disk_that_is_full_leaves_whole_blocks_and_all_is_counted(path: Path, surplus: int) -> None:
    made = sink(path)
    put(made, *[drop(number, 1 + number // 5) for number in range(10)])
    with file_size_limit(path.stat().st_size + 300 + surplus):
        put(made, *[drop(number, 1 + number // 5) for number in range(10, 20)])
        kept = made.written
        assert kept + made.failed == 20
        assert made.failure is not None
        assert [number for _, number in packets(path)] == list(range(kept))
    put(made, *[drop(number, 1 + number // 5) for number in range(20, 30)])
    made.close(PATIENCE)
    assert made.failure is None
    expected = [*range(kept), *range(20, 30)]
    assert [(f"br-int:{1 + number // 5}", number) for number in expected] == packets(path)


def test_disk_that_is_full_before_the_head(path: Path) -> None:
    with file_size_limit(10):
        made = sink(path)
        assert made.failure is not None
        put(made, drop(1))
        assert (0, 1) == (made.written, made.failed)
    put(made, drop(2))
    made.close(PATIENCE)
    assert [("br-int:1", 2)] == packets(path)


def test_reader_of_a_fifo_that_goes_costs_its_own_packets(path: Path) -> None:
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    made = sink(path)
    put(made, drop(1))
    first = os.read(reading, 65_536)
    os.close(reading)
    put(made, drop(2))
    assert (1, 1) == (made.written, made.failed)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    put(made, drop(3))
    second = os.read(reading, 65_536)
    os.close(reading)
    made.close(PATIENCE)
    for number, data in ((1, first), (3, second)):
        file = path.with_name(str(number))
        file.write_bytes(data)
        assert [("br-int:1", number)] == packets(file)


def test_slow_reader_of_a_fifo_has_every_block_whole(path: Path) -> None:
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    made = sink(path)
    made.put([drop(number) for number in range(3_000)])
    data = bytearray()
    while made.waiting:
        try:
            data += os.read(reading, 5_000)
        except BlockingIOError:
            time.sleep(0.001)
    while chunk := os.read(reading, 65_536):
        data += chunk
        if made.waiting == 0 and len(chunk) < 65_536:
            break
    made.close(PATIENCE)
    os.close(reading)
    copy = path.with_name("copy")
    copy.write_bytes(data)
    assert [number for _, number in packets(copy)] == list(range(3_000))
