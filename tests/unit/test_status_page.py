"""What `status` prints, and what of it is not well."""

from __future__ import annotations

from typing import Any

import pytest
from book_rows import rows

from ryu_droplog.runtime.status_page import GRACE, as_text, problems

SINCE = "2026-02-20T07:59:16+00:00"


def bridge(state: str, seconds: float | None = 200.0, **others: Any) -> dict[str, Any]:
    books = rows()
    told = {"connected": state == "connected", "state": state, "since": SINCE, "seconds": seconds}
    return {**told, "error": None, "books": books, "pruned_by": {}, **others}


def answer(**others: Any) -> dict[str, Any]:
    told = {
        "pid": 7,
        "configuration": {"source": "f.yaml", "enable": True, "refused": None},
        "listen": {},
        "clean_up": {"pid": 8, "needed": True, "restarts": 0},
        "bridges": {"br0": bridge("connected")},
        "receive": {},
        "sinks": {"syslog": {"failed": 0, "failure": None}},
    }
    return {**told, **others}


def test_connected_bridge_and_a_sink_that_writes_are_well() -> None:
    assert [] == problems(answer())


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (
            bridge("unreachable", error="cannot connect to x"),
            "br0: unreachable, not connected for 3 min: cannot connect to x",
        ),
        (
            bridge("refused", 0.5, error="another is at work there"),
            "br0: refused, not connected for 0 s: another is at work there",
        ),
        (
            bridge("waiting"),
            "br0: waiting for it to connect, not connected for 3 min",
        ),
        (
            bridge("connecting", error="the connection has ended"),
            "br0: connecting, not connected for 3 min: the connection has ended",
        ),
    ],
)
def test_bridge_that_is_not_connected_is_a_problem(state: dict[str, Any], expected: str) -> None:
    told = answer(bridges={"br0": state})
    assert [expected] == problems(told)
    assert f"  ! {expected}" in as_text(told).splitlines()


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (bridge("connecting", GRACE - 1), "connecting"),
        (bridge("waiting", GRACE - 1), "waiting for it to connect"),
        (bridge("off", None), "not connected: the drop log is switched off"),
        (bridge("gone", None), "not connected any more"),
        (bridge("connected"), f"connected for 3 min, since {SINCE}"),
        (bridge("connected", None, since=None), "connected"),
    ],
)
def test_bridge_on_its_way_off_or_gone_is_none(state: dict[str, Any], expected: str) -> None:
    told = answer(bridges={"br0": state})
    assert [] == problems(told)
    assert f"  - br0: {expected}" in as_text(told).splitlines()


def test_other_program_that_is_at_work_on_the_bridge_is_a_problem() -> None:
    run = {"flows": 2, "meters": 1, "seconds_to_decide": 9.0}
    runs = [
        {"generation": "0x1", "at_work": True, **run},
        {"generation": "0x2", "at_work": False, **run},
    ]
    told = answer(bridges={"br0": bridge("connected", other_runs=runs)})
    expected = (
        "br0: another ryu_droplog is at work on this bridge (generation 0x1): 2 flows of its own"
        " left alone, and what they take is not logged here"
    )
    assert [expected] == problems(told)
    assert "  - br0: 2 flows and 1 meter of another run (generation 0x2) are left" in as_text(told)


def test_table_that_has_just_come_into_use_is_no_problem_yet() -> None:
    row = {"name": "TABLE_20", "missing_seconds": 1.0, "retry_seconds": 2.0, "refusal": "x"}
    told = answer(bridges={"br0": bridge("connected", tables=[row])})
    assert [] == problems(told)
    expected = "TABLE_20 is not watched (since 1 s): x; next try in 2 s"
    assert f"  - br0: {expected}" in as_text(told).splitlines()
    row["missing_seconds"] = 30.0
    assert [f"br0: {expected.replace('1 s', '30 s')}"] == problems(told)


def test_sink_that_cannot_write_is_a_problem() -> None:
    failure = {"since": SINCE, "seconds": 61.0, "error": "/dev/log: no", "lost": 1}
    told = answer(sinks={"syslog": {"failure": failure}})
    expected = f"syslog: cannot write for 1 min, since {SINCE}: /dev/log: no; 1 drop not written"
    assert [expected] == problems(told)


def test_configuration_that_was_refused_is_a_problem() -> None:
    told = answer(configuration={"source": "f.yaml", "refused": "f.yaml: x"})
    assert ["configuration not taken: f.yaml: x"] == problems(told)


def test_clean_up_process_that_is_needed_and_does_not_run_is_a_problem() -> None:
    told = answer(clean_up={"pid": None, "needed": True, "restarts": 3})
    expected = "the clean-up process does not run: a program that is killed would leave its meters"
    assert [expected] == problems(told)
    assert [] == problems(answer(clean_up={"pid": None, "needed": False, "restarts": 0}))


def test_answer_of_an_older_program_is_read() -> None:
    old = {"connected": True, "books": rows(), "pruned_by": {}}
    told = answer(bridges={"br0": old}, sinks={"syslog": {"failed": 3}})
    del told["listen"], told["clean_up"]
    assert [] == problems(told)
    assert as_text(told).startswith("ryu_droplog, process 7\n")


def test_whole_page_has_problems_first_and_the_books_below() -> None:
    books = rows(("TABLE_0", {"counted": 3}))
    gone = bridge("gone", None, books=books, pruned_by={"web": 2})
    told = answer(
        listen={"tcp:127.0.0.1:6653": {"handshakes": 0, "connections": 1, "refused": 2}},
        bridges={"br0": bridge("connected"), "br1": bridge("unreachable", error="no"), "br2": gone},
    )
    page = as_text(told).splitlines()
    assert [
        "ryu_droplog, process 7",
        "configuration: f.yaml",
        "  ! br1: unreachable, not connected for 3 min: no",
        f"  - br0: connected for 3 min, since {SINCE}",
        "  - br2: not connected any more",
        "  - switches may connect to tcp:127.0.0.1:6653: 1 connection, 2 refused",
        "",
    ] == page[:7]
    assert ["bridge", "br0", "br1", "br2"] == [line.split()[0] for line in page[7:11]]
    assert [
        "br2: filtered: 2 by web",
        "br2 is not connected: its counters are of an earlier time",
    ] == page[-2:]


def test_books_that_balance_are_said_to_and_others_are_a_problem() -> None:
    sources = {"br0": bridge("connected")}
    page = as_text(answer(bridges=sources, unexplained={"br0": 0, "log": 0}))
    assert "unexplained: 0" in page.splitlines()
    told = answer(bridges=sources, unexplained={"br0": 0, "log": -2})
    assert ["log: the books do not balance, unexplained: 2 packets"] == problems(told)
    assert "unexplained: 0" not in as_text(told)


def test_room_of_a_connection_is_told_below_its_bridge() -> None:
    room = {"state": "enlarged", "bytes": 16_777_216, "missing": [], "why": None}
    page = as_text(answer(bridges={"br0": bridge("connected", socket_room=room)}))
    assert (
        "  - br0: the room of the management socket is enlarged to 16777216 bytes, some 21845"
        " short packets"
    ) in page.splitlines()
    assert [] == problems(answer(bridges={"br0": bridge("connected", socket_room=room)}))


def test_what_the_switch_lost_itself_is_told_below_the_books() -> None:
    lost = {"packet_in_overflow": 3, "rconn_overflow": 12}
    switch = {"process": 9, "lost": lost, "new": lost, "seconds": 4.2, "error": None}
    lines = as_text(answer(switches={"/run/openvswitch": switch})).splitlines()
    assert (
        "Open vSwitch in /run/openvswitch has lost PacketIns of all its bridges and controllers,"
        " since it started, as of 4 s ago: 3 between its threads (packet_in_overflow), 12 because"
        " a connection took them too slowly (rconn_overflow)"
    ) == lines[-1]


def test_switch_that_cannot_be_asked_says_why() -> None:
    switch = {"process": None, "lost": None, "new": {}, "seconds": None, "error": "x: no answer"}
    lines = as_text(answer(switches={"/r": switch})).splitlines()
    assert "Open vSwitch in /r cannot be asked what it lost: x: no answer" == lines[-1]
    assert [] == problems(answer(switches={"/r": switch}))
