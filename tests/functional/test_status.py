"""What an operator is told of bridges that do not work, and the exit statuses of the commands."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from private_ovs import PrivateSwitch

from ryu_droplog.runtime.status_socket import StatusError

from .books import status
from .program import BIN, Program, eventually, watched
from .reloads import config, write

pytestmark = pytest.mark.ovs

INT, EX, WRONG = "br-int", "br-ex", "br-itn"
PORT = 16990


@pytest.fixture(scope="module", autouse=True)
def bridges(switch: PrivateSwitch) -> Iterator[None]:
    """Two bridges without flows."""
    for name in (INT, EX):
        switch.add_bridge(name)
    yield
    for name in (INT, EX):
        switch.vsctl("--if-exists", "del-br", name)


def droplog(switch: PrivateSwitch, program: Program, *arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command with the program's file."""
    done = subprocess.run(
        [BIN / "ryu-droplog", *arguments, "--config", program.config],
        env={**os.environ, "OVS_RUNDIR": str(switch.rundir), "PYTHONWARNINGS": "ignore"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def configured(*names: str, **keys: Any) -> str:
    return config(bridges=[{"name": name} for name in names], **keys)


def states(program: Program) -> dict[str, str]:
    """The state of each bridge; none before the program can be asked."""
    try:
        told = status(program)["bridges"]
    except (StatusError, ValueError):
        return {}
    return {name: bridge["state"] for name, bridge in told.items()}


def unreachable(switch: PrivateSwitch, name: str) -> str:
    return (
        f"cannot connect to unix:{switch.rundir}/{name}.mgmt: No such file or directory;"
        f" Open vSwitch runs, and has the bridges {EX}, {INT}, nearest is {INT}"
    )


def test_all_is_well(switch: PrivateSwitch) -> None:
    with Program(switch, configured(INT, EX)) as program:
        expected = {INT: "connected", EX: "connected"}
        assert expected == eventually(expected, lambda: states(program))
        code, page, errors = droplog(switch, program, "status")
        assert (0, "") == (code, errors)
        assert f"  - {INT}: connected for " in page
        code, _, errors = droplog(switch, program, "plan")
        assert (0, "") == (code, errors)
        assert 0 == program.end()
        assert f"INFO configuration: {program.config}\n" in program.said()
        assert 3 == droplog(switch, program, "status")[0]


def test_name_that_is_wrong_is_everywhere_with_its_reason(switch: PrivateSwitch) -> None:
    with Program(switch, configured(WRONG, INT)) as program:
        expected = {WRONG: "unreachable", INT: "connected"}
        assert expected == eventually(expected, lambda: states(program))
        reason = unreachable(switch, WRONG)
        assert f"WARNING {WRONG}: {reason}; trying again\n" in program.said()

        code, page, errors = droplog(switch, program, "status")
        assert (1, "") == (code, errors)
        assert (
            re.search(rf"  ! {WRONG}: unreachable, not connected for \d+ s: (.*)", page)[1]
            == reason
        )
        code, page, _ = droplog(switch, program, "status", "--json")
        [told] = json.loads(page)
        assert (1, reason) == (code, told["bridges"][WRONG]["error"])
        assert 1 == len(told["problems"])

        for command in ("plan", "doctor"):
            code, page, errors = droplog(switch, program, command)
            assert (1, f"{WRONG}: {reason}\n") == (code, errors)
            assert page.startswith(f"{INT}: ")
        assert 0 == program.end()


def test_nothing_but_a_wrong_name_is_not_well_for_status_and_nobody_for_the_others(
    switch: PrivateSwitch,
) -> None:
    with Program(switch, configured(WRONG)) as program:
        assert {WRONG: "unreachable"} == eventually({WRONG: "unreachable"}, lambda: states(program))
        assert 1 == droplog(switch, program, "status")[0]
        for command in ("plan", "doctor", "clean"):
            code, page, errors = droplog(switch, program, command)
            assert (3, "", f"{WRONG}: {unreachable(switch, WRONG)}\n") == (code, page, errors)
        assert 0 == program.end()


def test_switch_that_is_down_is_told_apart_from_a_bridge_that_is_not_there(
    switch: PrivateSwitch,
) -> None:
    with Program(switch, configured(INT)) as program:
        assert [0] == eventually([0], lambda: watched(switch, INT))
        switch.kill_vswitchd()
        try:
            assert {INT: "unreachable"} == eventually({INT: "unreachable"}, lambda: states(program))
            error = status(program)["bridges"][INT]["error"]
            assert error.endswith(f"does not run there: no ovs-vswitchd answers in {switch.rundir}")
            assert 1 == droplog(switch, program, "status")[0]
            assert 3 == droplog(switch, program, "plan")[0]
        finally:
            switch.start_vswitchd()
        assert {INT: "connected"} == eventually({INT: "connected"}, lambda: states(program), 40)
        assert 0 == droplog(switch, program, "status")[0]
        assert 0 == program.end()


def test_bridge_that_another_program_has_is_refused_and_named_once(switch: PrivateSwitch) -> None:
    with (
        Program(switch, configured(INT), name="first") as first,
        Program(switch, configured(INT), name="second") as second,
    ):
        both = [first, second]
        told = [{INT: "connected"}, {INT: "refused"}]
        assert told == eventually(told, lambda: sorted(map(states, both), key=str))
        loser = next(program for program in both if states(program)[INT] == "refused")
        winner = next(program for program in both if program is not loser)
        reason = f"another ryu_droplog is at work there (process {winner.process.pid})"
        assert reason == status(loser)["bridges"][INT]["error"]
        assert f"WARNING {INT}: {reason}; trying again\n" in loser.said()
        code, page, _ = droplog(switch, first, "status")
        assert (1, 1) == (code, page.count(reason))
        code, _, errors = droplog(switch, first, "clean")
        assert (1, f"{INT}: {reason}\n") == (code, errors)
        assert [0, 0] == [loser.end(), winner.end()]
        assert "could not be cleaned" not in loser.said()


def test_bridge_that_connects_to_us_is_waited_for(switch: PrivateSwitch) -> None:
    bridges = [{"name": EX, "connect": "listen"}]
    with Program(switch, config(bridges=bridges, listen=PORT)) as program:
        assert {EX: "waiting"} == eventually({EX: "waiting"}, lambda: states(program))
        switch.vsctl("set-controller", EX, f"tcp:127.0.0.1:{PORT}")
        assert {EX: "connected"} == eventually({EX: "connected"}, lambda: states(program))
        assert 0 == droplog(switch, program, "status")[0]
        switch.vsctl("del-controller", EX)
        assert {EX: "waiting"} == eventually({EX: "waiting"}, lambda: states(program))
        assert 1 == program.end(), "nobody can go there to take the flow back"
        assert 1 == program.times("it cannot be reached: it connects to the program")


def test_drop_log_that_is_off_is_well_and_says_so(switch: PrivateSwitch) -> None:
    with Program(switch, configured(INT, drop_log_config={"enable": False})) as program:
        assert 1 == eventually(1, lambda: program.times("nothing is added"))
        assert {INT: "off"} == states(program)
        assert 0 == droplog(switch, program, "status")[0]
        assert 0 == droplog(switch, program, "doctor")[0]
        assert 0 == program.end()


def test_file_that_was_cut_says_key_by_key_what_it_switches_off(switch: PrivateSwitch) -> None:
    with Program(switch, configured(INT, EX, format="json", explicit_drops="log")) as program:
        expected = {INT: "connected", EX: "connected"}
        assert expected == eventually(expected, lambda: states(program))
        write(program, configured(INT))
        assert 1 == eventually(1, lambda: program.times(": read again: 3 changes"))
        for line in (
            f'WARNING {program.config}: bridges["{EX}"]: present -> absent',
            f'WARNING {program.config}: bridges["{INT}"].explicit_drops: log all -> count',
            f"INFO {program.config}: format: json -> opflex",
        ):
            assert 1 == eventually(1, lambda line=line: program.times(line)), program.said()
        write(program, f"# a remark\n{configured(INT)}")
        assert 1 == eventually(1, lambda: program.times(": read again: nothing has changed"))
        assert 0 == program.end()
