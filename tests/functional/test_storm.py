"""Floods, bursts and stalls where nothing steps aside: all that the flow counted is a line, or it
is known what it is.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest
from private_ovs import PrivateSwitch

from . import books
from .books import OPEN_METER, File, held_back, load, overflow, send, settled, when
from .program import Program, eventually, watched

pytestmark = pytest.mark.ovs

BRIDGE = "br-storm"
CONFIG = f"bridges: [{{name: {BRIDGE}}}]"
AS_IT_IS = f"{CONFIG}\nsocket_room: 0"
"""Some hundred packets have room on the management socket (test_socket_room has more)."""
SERVICE = f"bridges: [{{name: {BRIDGE}, connect: service}}]"


@pytest.fixture(scope="module", autouse=True)
def bridge(switch: PrivateSwitch) -> Iterator[str]:
    """A bridge with a guest `one` and without flows."""
    switch.add_bridge(BRIDGE)
    switch.guest("one", BRIDGE)
    yield BRIDGE
    switch.vsctl("del-br", BRIDGE)


@pytest.fixture
def file(switch: PrivateSwitch) -> File:
    return File(switch)


def ready(switch: PrivateSwitch) -> bool:
    return [0] == eventually([0], lambda: watched(switch, BRIDGE))


def test_flood_under_the_default_meter_is_lines_and_held_back(
    switch: PrivateSwitch, file: File
) -> None:
    with Program(switch, f"{CONFIG}\nstorm: {{enable: false}}\n{file.config}") as program:
        assert ready(switch)
        send(switch, 30_000, 20_000)
        dropped = settled(switch, BRIDGE)
        book = books.all_in(program, BRIDGE, dropped)
        assert 10_000 < dropped <= 30_000
        assert (dropped, 0, 0) == (book["dropped"], book["lost_in_switch"], book["waiting"])
        assert held_back(switch, BRIDGE) == book["metered"]
        assert dropped == file.lines() + book["metered"]
        assert 500 < file.lines() < 5000
        assert [] == file.odd()
        assert 0 == program.end()


def test_burst_over_the_management_socket_is_lines_and_lost_in_the_switch(
    switch: PrivateSwitch, file: File
) -> None:
    with Program(switch, f"{AS_IT_IS}\n{OPEN_METER}\n{file.config}") as program:
        assert ready(switch)
        before = overflow(switch)
        send(switch, 20_000)
        dropped = settled(switch, BRIDGE)
        book = books.all_in(program, BRIDGE, dropped)
        assert (dropped, 0, 0) == (book["dropped"], book["metered"], book["waiting"])
        assert dropped == file.lines() + book["lost_in_switch"]
        lost = book["lost_in_switch"]
        assert lost == eventually(lost, lambda: overflow(switch) - before)
        assert [] == file.odd()
        assert 0 == program.end()


def test_program_that_stands_still_for_a_while_balances_its_books(
    switch: PrivateSwitch, file: File
) -> None:
    with Program(switch, f"{AS_IT_IS}\n{OPEN_METER}\n{file.config}") as program:
        assert ready(switch)
        before = overflow(switch)
        with load(switch, 9000, 3000):
            assert when(lambda: file.lines() > 500)
            program.process.send_signal(signal.SIGSTOP)
            time.sleep(2)
            program.process.send_signal(signal.SIGCONT)
        dropped = settled(switch, BRIDGE)
        book = books.all_in(program, BRIDGE, dropped)
        assert (dropped, 0) == (book["dropped"], book["waiting"])
        assert 0 < book["lost_in_switch"]
        assert dropped == file.lines() + book["lost_in_switch"]
        lost = book["lost_in_switch"]
        assert lost == eventually(lost, lambda: overflow(switch) - before)
        assert f"{lost} lost in the switch" in _end(program)


def _end(program: Program) -> str:
    assert 0 == program.end(patience=10)
    return program.said()


def test_bursts_at_line_rate_over_a_service_connection_are_all_lines(
    switch: PrivateSwitch, file: File
) -> None:
    with Program(switch, f"{SERVICE}\n{OPEN_METER}\n{file.config}") as program:
        assert ready(switch)
        for _ in range(3):
            send(switch, 20_000)
            time.sleep(0.5)
        dropped = settled(switch, BRIDGE)
        book = books.all_in(program, BRIDGE, dropped)
        assert 1 == program.times("connected through our Controller row")
        assert 1000 < dropped <= 60_000
        assert (dropped, 0) == (book["dropped"], book["lost_in_switch"])
        assert dropped == book["logged"] == file.lines()
        assert [] == file.odd()
        assert 0 == program.end()
