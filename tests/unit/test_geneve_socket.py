"""Datagrams over a real socket: every one becomes a drop, or is counted."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from datagrams import INT, drop_log, header, number
from frames import IPV4, ethernet, ipv4, syn, udp
from living import ends
from sinks import Kept, file_sink
from waiting import eventually

from ryu_droplog.config.endpoint import UdpEndpoint
from ryu_droplog.config.loader import parse
from ryu_droplog.config.settings import Deduplication
from ryu_droplog.model.errors import ConfigError
from ryu_droplog.owners.base import Names
from ryu_droplog.owners.detection import owner_named
from ryu_droplog.owners.opflex_names import OpflexNames
from ryu_droplog.pipelines.loader import load_pipelines
from ryu_droplog.processing.report import ALL
from ryu_droplog.sinks import line
from ryu_droplog.sinks.log_books import LogBooks
from ryu_droplog.sources import geneve_socket
from ryu_droplog.sources.base import Route
from ryu_droplog.sources.geneve_log import senders
from ryu_droplog.sources.geneve_socket import GeneveSocket

NOWHERE = Route(None, [], [], LogBooks())
PATIENCE = 10.0
wait_until = partial(eventually, patience=PATIENCE)
SENDERS = senders(load_pipelines(None), {})


def free_port(host: str = "127.0.0.1") -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        return sock.getsockname()[1]


class Bed:
    """A Geneve socket with a sink that runs, and somebody who sends to it."""

    def __init__(self, host: str = "127.0.0.1", fold: Deduplication | None = None) -> None:
        self.sink = Kept()
        self.sink.start()
        self.endpoint = UdpEndpoint(host, free_port(host))
        log = LogBooks()
        log.begin(self.sink)
        self.route = Route(fold, [self.sink], [], log)
        self.geneve_socket = GeneveSocket(self.endpoint, SENDERS, self.route, threading)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.client = socket.socket(family, socket.SOCK_DGRAM)
        self.closed = False

    def send(self, *datagrams: bytes) -> None:
        for datagram in datagrams:
            self.client.sendto(datagram, (self.endpoint.host, self.endpoint.port))

    def ports(self) -> list[int]:
        return [drop.l4.src_port for drop in self.sink.drops]

    def told(self, name: str) -> int:
        """A counter, as `status` tells it."""
        return self.geneve_socket.state()[name]

    def total(self) -> SimpleNamespace:
        """All tables together, as `status` tells them."""
        return SimpleNamespace(**self.geneve_socket.state()["books"][ALL])

    def came(self) -> int:
        """Datagrams that the books or the counters know, and that are through the chain."""
        self.geneve_socket.ingress_queue.settle(PATIENCE)
        return self.total().received + self.told("strangers")

    def all_came(self, count: int) -> bool:
        return wait_until(lambda: self.came() >= count) and self.came() == count

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.client.close()
            self.geneve_socket.close(PATIENCE)
            self.sink.close(PATIENCE)


@pytest.fixture
def bed() -> Iterator[Bed]:
    bed = Bed()
    yield bed
    bed.close()


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bed]:
    """One whose socket's buffer has room for a few datagrams alone."""
    monkeypatch.setattr(geneve_socket, "BUFFER", 4096)
    bed = Bed()
    yield bed
    bed.close()


def datagram(source_port: int, table_id: int = 4) -> bytes:
    """A drop log that is known again by the source port of its packet."""
    packet = ipv4("10.0.0.1", "10.0.0.2", 17, udp(source_port, 53))
    return drop_log(ethernet(IPV4, packet), table_id)


def test_datagrams_arrive_in_order_as_drops(bed: Bed) -> None:
    bed.geneve_socket.start()
    begin = time.time()
    bed.send(*[datagram(port) for port in range(100)])
    assert bed.all_came(100)
    bed.close()
    assert list(range(100)) == bed.ports()
    drop = bed.sink.drops[0]
    assert ("br-access", "Acc-SEC_GROUP_IN_TABLE MISS") == (
        drop.location.bridge,
        drop.location.drop_reason,
    )
    assert begin <= drop.time <= time.time()
    total = bed.total()
    assert (100, 100, 0) == (total.received, total.logged, total.waiting)


@pytest.mark.parametrize("step", [-3600.0, -300.0, 86400.0])
def test_window_ends_in_time_when_the_time_of_day_is_set(
    step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The drops have the new time of day, and their number comes no later than ever."""
    bed = Bed(fold=Deduplication(1.0, 100))
    try:
        bed.geneve_socket.start()
        bed.send(datagram(1))
        assert bed.all_came(1)
        there = time.time
        monkeypatch.setattr(time, "time", lambda: there() + step)
        bed.send(*[datagram(1)] * 9)
        assert bed.all_came(10)
        assert wait_until(lambda: bed.sink.written == 2)
        assert [0, 9] == [drop.repeated for drop in bed.sink.drops]
        first, last = (drop.time for drop in bed.sink.drops)
        assert step == pytest.approx(last - first, abs=PATIENCE)
        bed.send(datagram(1))
        assert wait_until(lambda: bed.sink.written == 3), "a new window begins"
    finally:
        bed.close()


def test_datagrams_become_lines_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "drop.log"
    file = file_sink(path)
    file.start()
    endpoint = UdpEndpoint("127.0.0.1", free_port())
    geneve_socket = GeneveSocket(endpoint, SENDERS, Route(None, [file], [], LogBooks()), threading)
    geneve_socket.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(drop_log(vni=INT, table_id=12), ("127.0.0.1", endpoint.port))
        assert wait_until(lambda: geneve_socket.state()["books"][ALL]["received"] == 1)
    geneve_socket.close(PATIENCE)
    assert 0 == file.close(PATIENCE)
    text = path.read_text()
    packet = " SMAC=00:22:bd:f8:19:ff DMAC=0a:58:0a:02:00:c3 ETYP=IPv4 SRC=10.2.0.229"
    assert f"] Int-POL_TABLE MISS {packet}" in text
    assert 1 == text.count("\n")


def test_datagram_of_the_longest_size_is_whole(bed: Bed) -> None:
    frame = syn() + bytes(65_507 - len(drop_log()))
    bed.geneve_socket.start()
    bed.send(drop_log(frame))
    assert bed.all_came(1)
    bed.close()
    assert [frame] == [drop.frame for drop in bed.sink.drops]


def test_malformed_datagrams_are_counted_and_complained_of_once(bed: Bed) -> None:
    bed.geneve_socket.start()
    bed.send(b"", b"odd", datagram(1), drop_log(table_id=999), datagram(2)[:20], datagram(3))
    assert bed.all_came(6)
    notices = list(bed.geneve_socket.notices())
    expected = "datagram has 0 bytes, expected at least the 8 of a geneve header; it begins with "
    assert [expected] == notices
    assert [] == list(bed.geneve_socket.notices())
    bed.close()
    assert [1, 3] == bed.ports()
    total = bed.total()
    assert (4, 6, 2, 4) == (bed.told("malformed"), total.received, total.logged, total.failed)
    assert 0 == total.waiting


def test_strangers_are_counted_and_in_no_book(bed: Bed) -> None:
    bed.geneve_socket.start()
    bed.send(header(number(0, 1)) + syn(), datagram(1), header(number(12, 4), protocol=0x0800))
    assert bed.all_came(3)
    bed.close()
    assert [1] == bed.ports()
    assert (2, 1) == (bed.told("strangers"), bed.total().received)


def test_what_the_kernel_dropped_is_counted_though_no_later_datagram_comes(narrow: Bed) -> None:
    """The reader stands still; the buffer has room for a few datagrams alone."""
    assert 4096 * 2 == narrow.geneve_socket.buffer
    narrow.send(*[datagram(port) for port in range(200)])
    assert narrow.geneve_socket.read_counters(PATIENCE)
    missed = narrow.told("missed")
    assert 0 < missed < 200
    total = narrow.total()
    assert (missed, missed, 0) == (total.received, total.refused, total.waiting)
    narrow.geneve_socket.start()
    assert narrow.all_came(200)
    narrow.close()
    assert list(range(200 - missed)) == narrow.ports()
    total = narrow.total()
    assert (200, 200 - missed, missed) == (total.received, total.logged, total.refused)
    assert 0 == total.waiting
    assert missed == narrow.geneve_socket.state()["missed"]


def test_what_the_kernel_drops_later_is_added(narrow: Bed) -> None:
    counts = []
    for _ in range(2):
        narrow.send(*[datagram(port) for port in range(100)])
        narrow.geneve_socket.read_counters(PATIENCE)
        counts.append(narrow.told("missed"))
    assert [counts[0], counts[0] + 100] == counts


def test_what_the_kernel_dropped_is_counted_at_the_end(narrow: Bed) -> None:
    narrow.send(*[datagram(port) for port in range(200)])
    narrow.geneve_socket.start()
    narrow.close()
    assert 200 == narrow.came()
    total = narrow.total()
    assert (total.received, 0) == (total.logged + total.refused, total.waiting)


def test_what_is_in_the_buffer_at_the_end_is_still_read(bed: Bed) -> None:
    """More than one batch; the thread is told to stop when it has hardly begun."""
    bed.send(*[datagram(port) for port in range(1500)])
    bed.geneve_socket.start()
    bed.close()
    total = bed.total()
    assert 1500 == total.received
    assert (1500, 0) == (total.logged + total.refused, total.waiting)
    assert 1500 - bed.told("missed") == len(bed.ports())


def test_close_ends_the_threads_and_frees_the_port(bed: Bed) -> None:
    bed.geneve_socket.start()
    bed.send(*[datagram(port) for port in range(10)])
    bed.close()
    assert list(range(10)) == bed.ports()
    mine = (f"receive-{bed.endpoint}", f"chain-geneve {bed.endpoint}")
    assert [] == [thread.name for thread in threading.enumerate() if thread.name in mine]
    GeneveSocket(bed.endpoint, SENDERS, NOWHERE, threading).close(PATIENCE)


def test_close_ends_although_datagrams_never_cease(bed: Bed) -> None:
    ceased = threading.Event()

    def flood() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect((bed.endpoint.host, bed.endpoint.port))
            while not ceased.is_set():
                with suppress(ConnectionRefusedError):
                    client.send(datagram(1))

    sender = threading.Thread(target=flood)
    sender.start()
    bed.geneve_socket.start()
    assert wait_until(lambda: bed.total().received > 0)
    bed.geneve_socket.close(PATIENCE)
    assert ends(f"receive-{bed.endpoint}", PATIENCE)
    ceased.set()
    sender.join(PATIENCE)
    bed.close()
    total = bed.total()
    assert (total.received, 0) == (total.logged + total.refused, total.waiting)


def test_reception_that_is_closed_still_tells_its_books(bed: Bed) -> None:
    bed.geneve_socket.start()
    bed.send(datagram(1))
    assert bed.all_came(1)
    bed.close()
    assert bed.geneve_socket.read_counters(PATIENCE)
    state = bed.geneve_socket.state()
    assert (False, 0) == (state["connected"], state["missed"])
    expected = ["Acc-SEC_GROUP_IN_TABLE"]
    assert expected == [book["table"] for key, book in state["books"].items() if key != ALL]


def test_reception_never_started_can_be_closed(bed: Bed) -> None:
    assert bed.geneve_socket.state()["connected"]
    bed.geneve_socket.close(PATIENCE)
    assert not bed.geneve_socket.state()["connected"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((bed.endpoint.host, bed.endpoint.port))
        assert bed.endpoint.port == other.getsockname()[1]


def test_port_in_use_is_refused_with_its_key(bed: Bed) -> None:
    with pytest.raises(ConfigError) as caught:
        GeneveSocket(bed.endpoint, SENDERS, NOWHERE, threading)
    expected = f"receive.geneve: cannot listen at {bed.endpoint}: Address already in use"
    assert expected == str(caught.value)


@pytest.mark.parametrize(("former", "later"), [("127.0.0.1", "0.0.0.0"), ("0.0.0.0", "127.0.0.1")])
def test_other_address_on_the_same_port_takes_over_and_no_datagram_is_lost(
    former: str, later: str
) -> None:
    bed = Bed(former)
    bed.geneve_socket.start()
    count, half = 2000, threading.Event()

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            for port in range(count):
                if port == count // 2:
                    half.set()
                client.sendto(datagram(port), ("127.0.0.1", bed.endpoint.port))
                time.sleep(0.0002)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        assert half.wait(PATIENCE)
        there = UdpEndpoint(later, bed.endpoint.port)
        held = bed.geneve_socket
        bed.geneve_socket = GeneveSocket(there, SENDERS, bed.route, threading, beside=held)
        bed.geneve_socket.start()
        held.close(PATIENCE)
        sender.join(PATIENCE)
        assert wait_until(lambda: bed.sink.written == count)
        assert list(range(count)) == sorted(bed.ports())
        assert held.state()["missed"] + bed.geneve_socket.state()["missed"] == 0
        with pytest.raises(ConfigError, match="Address already in use"):
            GeneveSocket(bed.endpoint, SENDERS, NOWHERE, threading)
    finally:
        sender.join(PATIENCE)
        bed.close()


def test_address_of_another_machine_is_refused_with_its_key() -> None:
    with pytest.raises(ConfigError) as caught:
        GeneveSocket(UdpEndpoint("192.0.2.1", 50000), SENDERS, NOWHERE, threading)
    expected = "receive.geneve: cannot listen at 192.0.2.1:50000: Cannot assign requested address"
    assert expected == str(caught.value)


def test_ipv6_is_received_on() -> None:
    bed = Bed("::1")
    bed.geneve_socket.start()
    bed.send(datagram(7))
    assert bed.all_came(1)
    bed.close()
    assert [7] == bed.ports()
    assert f"geneve [::1]:{bed.endpoint.port}" == bed.geneve_socket.name


def test_buffer_of_a_reception_is_as_large_as_may_be(bed: Bed) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        default = plain.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    assert default <= bed.geneve_socket.buffer
    assert bed.geneve_socket.buffer == bed.geneve_socket.state()["buffer"]


def test_repeats_are_folded_and_booked() -> None:
    bed = Bed(fold=Deduplication(window=3600.0, entries=100))
    bed.geneve_socket.start()
    bed.send(*[datagram(1)] * 50, *[datagram(2)] * 50)
    assert bed.all_came(100)
    bed.close()
    assert [(1, 0), (2, 0), (1, 49), (2, 49)] == [
        (drop.l4.src_port, drop.repeated) for drop in bed.sink.drops
    ]
    total = bed.total()
    assert (100, 2, 98, 0) == (total.received, total.logged, total.folded, total.waiting)


def test_names_and_words_may_change_between_two_datagrams(bed: Bed) -> None:
    bed.geneve_socket.start()
    denied = drop_log(reason=1, policy=7)
    bed.send(denied)
    assert bed.all_came(1)
    bed.geneve_socket.learn_opflex_names(OpflexNames({7: "rule"}))
    bed.send(denied)
    assert bed.all_came(2)
    text = "bridges: [{name: br, pipeline: opflex-access, prefix: New-}]"
    bed.geneve_socket.change(parse(text, "droplog.yaml"), load_pipelines(None))
    bed.send(denied)
    assert bed.all_came(3)
    bed.close()
    expected = [
        "Acc-SEC_GROUP_IN_TABLE DENY",
        "Acc-SEC_GROUP_IN_TABLE DENY rule",
        "New-SEC_GROUP_IN_TABLE DENY rule",
    ]
    assert expected == [drop.location.drop_reason for drop in bed.sink.drops]


def test_drop_is_explained_and_its_line_is_the_plain_one(bed: Bed) -> None:
    bed.geneve_socket.start()
    bed.send(header(number(0, 10), number(2, 11), number(12, 4)) + syn())
    assert bed.all_came(1)
    bed.close()
    [drop] = bed.sink.drops
    assert {10, 11} <= set(owner_named("opflex").explain(drop, Names()).values())
    assert line.bare(drop).startswith("Acc-SEC_GROUP_IN_TABLE MISS  SMAC=")
