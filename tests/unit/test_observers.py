"""Observers of a running program: who asks, what they get, and what they may not do to it."""

from __future__ import annotations

import json
import os
import resource
import select
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from frames import ARP, arp, ethernet, syn
from record_drops import HOSTILE, place
from waiting import eventually

from ryu_droplog.config.settings import RingBounds
from ryu_droplog.model.drop import Drop
from ryu_droplog.model.errors import ConfigError
from ryu_droplog.observe import client
from ryu_droplog.observe.observer import OUTBOX
from ryu_droplog.observe.protocol import PROTOCOL, control
from ryu_droplog.observe.query import Condition, Query, QueryError
from ryu_droplog.observe.server import ObserverServer
from ryu_droplog.observe.stream import Lost
from ryu_droplog.packet.ethernet import decode
from ryu_droplog.processing.ring import Ring
from ryu_droplog.records.context import EncoderContext
from ryu_droplog.records.record import Record

PLACE = place()
SOON = 10.0


class Bed:
    """A server with a ring, and a clock of its own."""

    def __init__(self, directory: str, bounds: RingBounds | None = None) -> None:
        self.directory = directory
        self.rings = {"br-int": Ring(bounds or RingBounds())}
        self.server = ObserverServer(
            directory, lambda: self.rings, EncoderContext("node-1"), threading, select
        )
        self.server.start()

    def drop(self, number: int = 1, frame: bytes | None = None, source: str = "br-int") -> None:
        """So many drops have come."""
        drops = []
        for _ in range(number):
            drop = decode(frame or syn(), time.time(), PLACE, b"")
            drop.received = time.monotonic()
            drops.append(drop)
        self.rings[source].put(drops)

    def records(self, **query: object) -> list[Record]:
        """What an observer gets who does not follow."""
        said = client.observe(self.directory, Query(**query))  # type: ignore[arg-type]
        return [one for one in said if isinstance(one, Record)]

    def observers(self) -> int:
        number = self.server.state()["observers"]
        assert isinstance(number, int)
        return number

    @property
    def path(self) -> Path:
        return Path(self.directory, f"{os.getpid()}.observe")

    def visitor(self, request: bytes = b"") -> socket.socket:
        """Somebody who is connected and has said that."""
        visitor = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        visitor.connect(str(self.path))
        visitor.settimeout(SOON)
        if request:
            visitor.sendall(request)
        return visitor


FOLLOW = json.dumps({"protocol": PROTOCOL, "query": {"follow": True}}).encode() + b"\n"


@pytest.fixture
def bed() -> Iterator[Bed]:
    with tempfile.TemporaryDirectory() as folder:
        made = Bed(f"{folder}/run")
        yield made
        made.server.stop(SOON)


def answer(visitor: socket.socket) -> list[dict[str, object]]:
    """All that is said to a visitor until the program hangs up."""
    data = bytearray()
    with suppress(ConnectionResetError):
        while chunk := visitor.recv(65536):
            data += chunk
    return [json.loads(line) for line in data.splitlines()]


def test_last_drops_come_in_their_order_and_no_others(bed: Bed) -> None:
    for number in range(5):
        bed.drop(frame=ethernet(ARP, arp("10.0.0.1", f"10.0.0.{number}")))
    found = [r.destination.ip for r in bed.records(last=3) if r.destination is not None]
    assert ["10.0.0.2", "10.0.0.3", "10.0.0.4"] == found
    found = [r.destination.ip for r in bed.records(first=2) if r.destination is not None]
    assert ["10.0.0.0", "10.0.0.1"] == found
    only = [Condition("to-ip", ["10.0.0.3", "10.0.0.1"])]
    found = [r.destination.ip for r in bed.records(conditions=only, last=5) if r.destination]
    assert ["10.0.0.1", "10.0.0.3"] == found


def test_drops_of_all_bridges_come_in_the_order_of_time(bed: Bed) -> None:
    bed.rings["br-ex"] = Ring(RingBounds())
    for number, source in enumerate(("br-int", "br-ex", "br-int", "br-ex")):
        bed.drop(frame=ethernet(ARP, arp("10.0.0.1", f"10.0.0.{number}")), source=source)
    found = [r.destination.ip for r in bed.records() if r.destination is not None]
    assert [f"10.0.0.{number}" for number in range(4)] == found


def test_a_follower_gets_what_comes_and_the_last_ones_before(bed: Bed) -> None:
    bed.drop(3)
    got: list[object] = []

    def follow() -> None:
        for one in client.observe(bed.directory, Query(last=2, follow=True)):
            if isinstance(one, Record):
                got.append(one)
            if len(got) == 7:
                return

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    assert eventually(lambda: len(got) == 2)
    bed.drop(2)
    bed.rings["br-new"] = Ring(RingBounds())
    bed.drop(3, source="br-new")
    thread.join(SOON)
    assert 7 == len(got)
    assert eventually(lambda: bed.observers() == 0)


def test_a_step_of_the_wall_clock_does_not_confuse_since(bed: Bed) -> None:
    drops: list[Drop] = []
    for age, wall in ((100.0, 9e9), (50.0, 0.0), (1.0, 1e9)):
        drop = decode(syn(), wall, PLACE, b"")
        drop.received = time.monotonic() - age
        drops.append(drop)
    bed.rings["br-int"].put(drops)
    assert ["1970", "2001"] == [record.time[:4] for record in bed.records(since=60.0)]
    assert ["2255"] == [record.time[:4] for record in bed.records(until=60.0)]
    assert ["1970"] == [record.time[:4] for record in bed.records(since=60.0, until=30.0)]


def test_one_who_does_not_read_loses_his_own_records_and_hears_how_many(bed: Bed) -> None:
    with closing(bed.visitor(FOLLOW)) as lazy:
        assert eventually(lambda: bed.observers() == 1)
        assert b'"protocol":1' in lazy.recv(4096)
        assert eventually(lambda: any(o.live for o in bed.server._observers.values()))
        sent = 4000
        got: list[object] = []

        def follow() -> None:
            for one in client.observe(bed.directory, Query(follow=True)):
                if one is not None:
                    got.append(one)
                if sum(1 for one in got if isinstance(one, Record)) == sent:
                    return

        reader = threading.Thread(target=follow, daemon=True)
        reader.start()
        assert eventually(lambda: sum(o.live for o in bed.server._observers.values()) == 2)
        for _ in range(sent // 10):
            bed.drop(10)
            begin = len(got)
            assert eventually(lambda begin=begin: len(got) >= begin + 10)  # type: ignore[misc]
        reader.join(SOON)
        assert [] == [one for one in got if isinstance(one, Lost)]
        waiting = [o._waiting for o in bed.server._observers.values() if o._waiting]
        assert all(number <= OUTBOX + 65_536 for number in waiting)
        records = lost = 0
        lazy.settimeout(0.3)
        data = bytearray()
        with suppress(TimeoutError):
            while True:
                data += lazy.recv(1 << 20)
        for line in data.splitlines():
            told = json.loads(line)
            if "control" in told:
                lost += told["control"]["lost"]
            else:
                records += 1
        assert sent == records + lost
        assert lost > 0


def test_what_a_ring_could_not_keep_until_it_was_handed_on_is_counted_as_lost() -> None:
    with tempfile.TemporaryDirectory() as folder:
        bed = Bed(f"{folder}/run", RingBounds(drops=16))
        try:
            said = client.observe(bed.directory, Query(follow=True))
            assert next(said) is None
            assert eventually(lambda: any(o.live for o in bed.server._observers.values()))
            bed.drop(1000)
            records = lost = 0
            for one in said:
                records += isinstance(one, Record)
                lost += one.number if isinstance(one, Lost) else 0
                if records + lost >= 1000:
                    break
            assert 1000 == records + lost
            assert records <= 16
        finally:
            bed.server.stop(SOON)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"{}\n", "the request cannot be read"),
        (b"\xff\n", "the request cannot be read"),
        (b"[" * 60_000 + b"\n", "the request cannot be read"),
        (b'{"protocol":1}\n', "it asks for neither records nor the status"),
        (b'{"protocol":1,"query":{"last":0}}\n', "`int` >= 1"),
        (b'{"protocol":7,"query":{}}\n', "speaks version 1"),
        (b'{"protocol":7,"other":{}}\n', "the command version 7"),
        (b"x" * 70_000, "the request cannot be read"),
        (
            b'{"protocol":1,"query":{"conditions":[{"filter":"\\u001b[2J","values":["1"]}]}}\n',
            "--\\x1b[2J: there is no such filter",
        ),
        (
            b'{"protocol":1,"query":{"conditions":[{"filter":"ip","values":["x"]}]}}\n',
            '--ip: got "x"; expected an address or a prefix',
        ),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_with_the_reason(
    bed: Bed, request_: bytes, expected: str
) -> None:
    with closing(bed.visitor()) as visitor:
        with suppress(BrokenPipeError):
            visitor.sendall(request_)
        *_, last = answer(visitor)
    assert isinstance(last["control"], dict)
    assert expected in last["control"]["error"]
    assert "\x1b" not in last["control"]["error"]
    assert [] == bed.records()


def test_a_command_of_another_version_says_what_is_wrong(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PROTOCOL", 2)
    with pytest.raises(QueryError, match=r"speaks version 1 .* this command .* version 2; use"):
        bed.records()


def test_no_program_is_an_error_that_says_so() -> None:
    with tempfile.TemporaryDirectory() as folder:
        with pytest.raises(QueryError, match="no running ryu_droplog"):
            list(client.observe(f"{folder}/run", Query()))
        killed = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        killed.bind(f"{folder}/1.observe")
        killed.close()
        with pytest.raises(QueryError, match="no running ryu_droplog"):
            list(client.observe(folder, Query()))


def test_more_observers_than_there_is_room_for_are_told_so(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    bed.server._most = 3
    visitors = [bed.visitor(FOLLOW) for _ in range(3)]
    try:
        assert eventually(lambda: bed.observers() == 3)
        with closing(bed.visitor()) as refused:
            assert "no room for more" in str(answer(refused))
    finally:
        for visitor in visitors:
            visitor.close()
    assert eventually(lambda: bed.observers() == 0)
    bed.drop()
    assert 1 == len(bed.records())


def test_observers_take_a_quarter_of_the_descriptors_at_most(bed: Bed) -> None:
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert min(1000, soft // 4) == bed.server.state()["at_most"]


def test_a_thousand_who_never_ask_leave_room_and_are_hung_up_on(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ryu_droplog.observe.observer.REQUEST_TIME", 0.5)
    visitors: list[socket.socket] = []
    try:
        for _ in range(bed.server.state()["at_most"] // 2):
            visitors.append(bed.visitor())
        bed.drop()
        assert 1 == len(bed.records())
        assert eventually(lambda: bed.observers() == 0)
    finally:
        for visitor in visitors:
            visitor.close()


def test_one_who_takes_nothing_is_given_up(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ryu_droplog.observe.observer.PATIENCE", 0.3)
    bed.drop(1000, frame=ethernet(ARP, bytes(200)))
    query = json.dumps({"protocol": PROTOCOL, "query": {}}).encode() + b"\n"
    with closing(bed.visitor(query)):
        assert eventually(lambda: bed.observers() == 1)
        assert eventually(lambda: bed.observers() == 0)


def test_names_of_others_cannot_forge_a_line_or_an_escape_sequence(bed: Bed) -> None:
    where = place(policy=HOSTILE, table=HOSTILE, bridge=HOSTILE)
    bed.rings["br-int"].put([decode(syn(), 1.0, where, b"")])
    with closing(bed.visitor(FOLLOW.replace(b'"follow": true', b'"last": 1'))) as visitor:
        data = b""
        while chunk := visitor.recv(65536):
            data += chunk
    assert 3 == len(data.splitlines())
    assert data.isascii()
    assert b"\x1b" not in data


def test_the_status_is_told_by_the_thread_that_may(bed: Bed) -> None:
    told: list[dict[str, object]] = []
    thread = threading.Thread(
        target=lambda: told.extend(client.status(bed.directory, SOON)), daemon=True
    )
    thread.start()
    assert eventually(lambda: bool(bed.server._asking))
    bed.server.answer_status(lambda: {"pid": 1})
    thread.join(SOON)
    assert [{"pid": 1}] == told


def test_socket_is_open_to_the_group_and_closed_again(bed: Bed) -> None:
    assert 0o600 == stat.S_IMODE(bed.path.stat().st_mode)
    change: Callable[[str | None], None] = lambda group: bed.server.change(  # noqa: E731
        EncoderContext("node-1"), group
    )
    change("nogroup")
    assert 0o660 == stat.S_IMODE(bed.path.stat().st_mode)
    with pytest.raises(ConfigError, match='socket_group: got "no-such-group"'):
        change("no-such-group")
    assert 0o600 == stat.S_IMODE(bed.path.stat().st_mode)
    change("nogroup")
    change(None)
    assert 0o600 == stat.S_IMODE(bed.path.stat().st_mode)


def test_end_of_the_program_is_told(bed: Bed) -> None:
    said = client.observe(bed.directory, Query(follow=True))
    assert next(said) is None
    bed.server.stop(SOON)
    with pytest.raises(QueryError, match="the program ends"):
        list(said)
    assert not bed.path.exists()


def test_control_lines_are_no_records() -> None:
    assert control(lost=3).startswith(b'{"control":')
