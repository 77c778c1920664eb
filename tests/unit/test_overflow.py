"""What ovs-vswitchd says it lost, and a switch that says something else, or nothing."""

from __future__ import annotations

import json
import time
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from clocks import Clock
from odd_database import OddDatabase, request
from os_ken.lib import hub
from waiting import PATIENCE

from ryu_droplog.model.errors import SwitchError
from ryu_droplog.ovsdb.overflow import Overflow, read_overflow
from ryu_droplog.runtime.switch_losses import INTERVAL, SwitchLosses

RUNDIR = "/run/ovs"


def answering(*results: object) -> Any:
    """A control socket that answers so, one question after the other."""

    def script(visitor: Any, server: OddDatabase) -> None:
        for number, result in enumerate(results):
            request(visitor, server)
            refusal = result if isinstance(result, Exception) else None
            told = {
                "id": number,
                "result": None if refusal else result,
                "error": str(refusal) if refusal else None,
            }
            visitor.sendall(json.dumps(told).encode())

    return script


@pytest.fixture
def rundir(tmp_path: Path) -> Path:
    (tmp_path / "ovs-vswitchd.pid").write_text("7\n")
    return tmp_path


def test_both_counters_are_asked_for_by_name(rundir: Path) -> None:
    with OddDatabase(rundir / "ovs-vswitchd.7.ctl", answering("3\n", "12\n")) as control:
        expected = Overflow(7, {"packet_in_overflow": 3, "rconn_overflow": 12})
        assert expected == read_overflow(str(rundir))
        assert ["packet_in_overflow"] == control.asked[0]["params"]
        assert ["rconn_overflow"] == control.asked[1]["params"]
        assert {"coverage/read-counter"} == {one["method"] for one in control.asked}


@pytest.mark.parametrize(
    "results",
    [("",), ("-1",), ("٣",), ("9" * 21,), (None,), ([1],), (ValueError("no such counter"),)],
)
def test_answer_that_is_no_number_is_refused(rundir: Path, results: tuple[object, ...]) -> None:
    with (
        OddDatabase(rundir / "ovs-vswitchd.7.ctl", answering(*results, *results)),
        pytest.raises(SwitchError),
    ):
        read_overflow(str(rundir))


@pytest.mark.parametrize("pid", [None, "", "x", "7"])
def test_switch_that_is_not_there_is_refused(tmp_path: Path, pid: str | None) -> None:
    if pid is not None:
        (tmp_path / "ovs-vswitchd.pid").write_text(pid)
    with pytest.raises(SwitchError, match="ovs-vswitchd"):
        read_overflow(str(tmp_path))


class Reading:
    """A switch whose readings are given, and the losses that are made of them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.next: deque[Overflow | SwitchError] = deque()
        self.asked = 0
        self.losses = SwitchLosses(self._read, self.clock)
        self.losses.watch([RUNDIR, "", RUNDIR])

    def _read(self, rundir: str) -> Overflow:
        assert rundir == RUNDIR
        self.asked += 1
        answer = self.next.popleft()
        if isinstance(answer, SwitchError):
            raise answer
        return answer

    def read(self, answer: Overflow | SwitchError) -> dict[str, Any]:
        """Have it read once more, as it is done a few times a second."""
        self.next.append(answer)
        expected = self.asked + 1
        self.clock.now += INTERVAL
        before = self.losses.state()[RUNDIR]
        self.losses.tend()
        deadline = time.monotonic() + PATIENCE
        while expected != self.asked or self.losses.state()[RUNDIR] == before:
            assert time.monotonic() < deadline, "it was not read"
            hub.sleep(0.005)  # under eventlet, too, others have their turn
        return dict(self.losses.state()[RUNDIR])


def counters(packet_in: int, rconn: int, process: int = 7) -> Overflow:
    return Overflow(process, {"packet_in_overflow": packet_in, "rconn_overflow": rconn})


def new(packet_in: int, rconn: int) -> dict[str, int]:
    return counters(packet_in, rconn).messages


def test_nothing_is_known_before_the_first_reading() -> None:
    reading = Reading()
    state = reading.losses.state()[RUNDIR]
    assert (None, None, None, new(0, 0)) == (
        state["lost"],
        state["seconds"],
        state["error"],
        state["new"],
    )
    assert [] == list(reading.losses.reports())


def test_losses_from_before_the_program_are_not_new_and_those_after_are() -> None:
    reading = Reading()
    state = reading.read(counters(5, 100))
    assert (new(5, 100), new(0, 0)) == (state["lost"], state["new"])
    assert [] == list(reading.losses.reports())
    state = reading.read(counters(6, 112))
    assert (new(6, 112), new(1, 12), 0.0) == (state["lost"], state["new"], state["seconds"])
    assert [
        "Open vSwitch in /run/ovs lost 13 PacketIns of all its bridges and controllers: 1 between"
        " its threads (packet_in_overflow), 12 because a connection took them too slowly"
        " (rconn_overflow)"
    ] == list(reading.losses.reports())
    assert [] == list(reading.losses.reports())


def test_switch_that_starts_again_counts_anew() -> None:
    reading = Reading()
    reading.read(counters(0, 100))
    state = reading.read(counters(0, 30, process=8))
    assert (new(0, 30), new(0, 30)) == (state["lost"], state["new"])
    state = reading.read(counters(0, 130, process=8))
    assert new(0, 130) == state["new"]


def test_what_was_read_stays_while_the_switch_cannot_be_asked() -> None:
    reading = Reading()
    reading.read(counters(0, 4))
    state = reading.read(SwitchError("no answer"))
    assert (new(0, 4), "no answer", INTERVAL) == (state["lost"], state["error"], state["seconds"])
    assert reading.read(counters(0, 5))["error"] is None


def test_it_is_read_no_more_often_than_it_should_and_not_when_it_is_not_watched() -> None:
    reading = Reading()
    reading.read(counters(0, 0))
    for _ in range(5):
        reading.clock.now += INTERVAL / 6
        reading.losses.tend()
    assert 1 == reading.asked
    reading.losses.watch([])
    assert {} == reading.losses.state()
    reading.clock.now += INTERVAL
    reading.losses.tend()
    assert 1 == reading.asked
