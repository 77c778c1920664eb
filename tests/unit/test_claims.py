"""One connection a bridge, one process a bridge."""

from __future__ import annotations

import logging
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ryu_droplog.errors import SwitchError
from ryu_droplog.openflow.claims import Claims

DATAPATH = 0x0000_FEED_0000_0001
PEER = "unix:/run/br-int.mgmt"

_HOLDER = """
import sys, time
from ryu_droplog.openflow.claims import Claims
from ryu_droplog.errors import SwitchError
claims = Claims(sys.argv[1])
try:
    claims.take("br-int", int(sys.argv[2]), "peer")
except SwitchError as error:
    print(error, flush=True)
else:
    print("taken", flush=True)
sys.stdin.readline()
claims.release("br-int")
print("released", flush=True)
sys.stdin.readline()
"""

Holder = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Holder]:
    """Starts processes that try to take the bridge, and ends them."""
    started: list[subprocess.Popen[str]] = []

    def start(datapath: int = DATAPATH) -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", _HOLDER, str(tmp_path), str(datapath)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def says(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.fixture
def claims(tmp_path: Path) -> Claims:
    return Claims(str(tmp_path))


def test_bridge_that_another_process_has_is_refused_with_its_number(
    claims: Claims, holder: Holder
) -> None:
    first = holder()
    assert "taken" == says(first)
    with pytest.raises(SwitchError) as caught:
        claims.take("br-int", DATAPATH, PEER)
    expected = f"br-int: another ryu_droplog is at work there (process {first.pid})"
    assert expected == str(caught.value)


def test_lock_of_ours_keeps_another_process_out(claims: Claims, holder: Holder) -> None:
    claims.take("br-int", DATAPATH, PEER)
    expected = f"br-int: another ryu_droplog is at work there (process {os.getpid()})"
    assert expected == says(holder())
    claims.release("br-int")


def test_bridge_given_back_can_be_taken_by_another_process(claims: Claims, holder: Holder) -> None:
    claims.take("br-int", DATAPATH, PEER)
    claims.release("br-int")
    assert "taken" == says(holder())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_bridge_of_a_process_that_died_is_free_at_once(
    claims: Claims, holder: Holder, number: signal.Signals
) -> None:
    first = holder()
    assert "taken" == says(first)
    first.send_signal(number)
    first.wait()
    claims.take("br-int", DATAPATH, PEER)
    claims.release("br-int")


def test_bridge_released_by_another_process_is_free(claims: Claims, holder: Holder) -> None:
    first = holder()
    assert "taken" == says(first)
    go_on(first)
    assert "released" == says(first)
    claims.take("br-int", DATAPATH, PEER)
    claims.release("br-int")


def test_refused_bridge_can_be_taken_later(claims: Claims, holder: Holder) -> None:
    first = holder()
    assert "taken" == says(first)
    for _ in range(3):
        with pytest.raises(SwitchError):
            claims.take("br-int", DATAPATH, PEER)
    go_on(first)
    assert "released" == says(first)
    claims.take("br-int", DATAPATH, PEER)
    with pytest.raises(SwitchError, match="is connected already"):
        claims.take("br-int", DATAPATH, PEER)
    claims.release("br-int")


def test_bridges_are_told_apart_by_their_datapath_ids(claims: Claims, holder: Holder) -> None:
    """Another switch on the machine may have a bridge of the same name."""
    claims.take("br-int", DATAPATH, PEER)
    assert "taken" == says(holder(DATAPATH + 1))
    claims.release("br-int")


def test_second_connection_to_a_bridge_is_refused_with_the_first(claims: Claims) -> None:
    claims.take("br-int", DATAPATH, PEER)
    with pytest.raises(SwitchError) as caught:
        claims.take("br-int", DATAPATH, "tcp:127.0.0.1")
    assert f"br-int is connected already, through {PEER}" == str(caught.value)
    claims.release("br-int")
    claims.take("br-int", DATAPATH, "tcp:127.0.0.1")
    claims.release("br-int")


def test_two_bridges_are_taken_and_given_back_apart(claims: Claims, holder: Holder) -> None:
    claims.take("br-int", DATAPATH, PEER)
    claims.take("br-ex", DATAPATH + 1, PEER)
    claims.release("br-ex")
    assert f"(process {os.getpid()})" in says(holder())
    assert "taken" == says(holder(DATAPATH + 1))
    claims.release("br-int")


def test_release_of_what_was_not_taken_does_nothing(claims: Claims, tmp_path: Path) -> None:
    claims.release("br-int")
    assert [] == list(tmp_path.iterdir())


def test_lock_is_a_file_named_after_the_datapath_id_with_the_process_in_it(
    claims: Claims, tmp_path: Path
) -> None:
    claims.take("br-int", DATAPATH, PEER)
    [lock] = tmp_path.iterdir()
    assert ("0000feed00000001.lock", f"{os.getpid()}\n") == (lock.name, lock.read_text())
    assert 0o600 == stat.S_IMODE(lock.stat().st_mode)
    claims.release("br-int")


def test_longer_number_of_an_earlier_process_is_not_mixed_with_ours(
    claims: Claims, tmp_path: Path
) -> None:
    (tmp_path / "0000feed00000001.lock").write_text("123456789012\n")
    claims.take("br-int", DATAPATH, PEER)
    assert f"{os.getpid()}\n" == (tmp_path / "0000feed00000001.lock").read_text()
    claims.release("br-int")


def test_child_does_not_inherit_the_lock(claims: Claims, holder: Holder) -> None:
    """The process of the last will outlives the program for a moment."""
    claims.take("br-int", DATAPATH, PEER)
    child = subprocess.Popen(
        [sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE, close_fds=False
    )
    claims.release("br-int")
    assert "taken" == says(holder())
    child.communicate(b"\n")


def test_directory_that_cannot_be_made_costs_the_lock_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "run").write_text("a file")
    claims = Claims(str(tmp_path / "run" / "droplog"))
    with caplog.at_level(logging.WARNING):
        claims.take("br-int", DATAPATH, PEER)
    assert 1 == caplog.text.count("br-int: no lock against a second run: ")
    with pytest.raises(SwitchError, match="is connected already"):
        claims.take("br-int", DATAPATH, PEER)
    claims.release("br-int")


def test_run_that_had_the_lock_before_is_known_to_be_dead(tmp_path: Path) -> None:
    first = Claims(str(tmp_path), 0x123400)
    first.take("br-int", DATAPATH, PEER)
    assert not first.dead(DATAPATH)
    first.release("br-int")
    second = Claims(str(tmp_path), 0x567800)
    second.take("br-int", DATAPATH, PEER)
    assert {0x123400} == second.dead(DATAPATH)
    assert not second.dead(DATAPATH + 1)
    second.release("br-int")
    second.take("br-int", DATAPATH, PEER)
    assert {0x123400} == second.dead(DATAPATH), "its own generation is in the file now"
    second.release("br-int")


def test_visitor_leaves_the_note_of_the_last_run_there(tmp_path: Path) -> None:
    first = Claims(str(tmp_path), 0x123400)
    first.take("br-int", DATAPATH, PEER)
    lock = tmp_path / "0000feed00000001.lock"
    assert f"{os.getpid()} 0x123400\n" == lock.read_text()
    first.release("br-int")
    for _ in range(2):
        visitor = Claims(str(tmp_path))
        visitor.take("br-int", DATAPATH, PEER)
        assert {0x123400} == visitor.dead(DATAPATH)
        visitor.release("br-int")
    assert f"{os.getpid()} 0x123400\n" == lock.read_text()


@pytest.mark.parametrize(
    "text", ["", "77", "77 x", "77 0x0", "77 -5", "77 0x1000000", "\udcff", "77 " + "9" * 500]
)
def test_lock_file_with_something_else_in_it_names_no_run(tmp_path: Path, text: str) -> None:
    (tmp_path / "0000feed00000001.lock").write_bytes(text.encode("utf-8", "surrogateescape"))
    claims = Claims(str(tmp_path), 0x123400)
    claims.take("br-int", DATAPATH, PEER)
    assert not claims.dead(DATAPATH)
    claims.release("br-int")
