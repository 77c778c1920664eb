"""One connection a bridge, one process a bridge; who came to us keeps nobody out."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ryu_droplog.locks.bridge_claims import Claims, Trust
from ryu_droplog.locks.bridge_claims import holder as holder_of
from ryu_droplog.locks.lock_file import Holder as Holding
from ryu_droplog.model.errors import DropLogError, SwitchError

DATAPATH = 0x0000_FEED_0000_0001
PEER = "unix:/run/br-int.mgmt"

_HOLDER = """
import sys, time
from ryu_droplog.locks.bridge_claims import Claims, Trust
from ryu_droplog.model.errors import SwitchError
claims = Claims(sys.argv[1])
try:
    claim = claims.take("br-int", int(sys.argv[2]), "peer", Trust[sys.argv[3]])
except SwitchError as error:
    print(error, flush=True)
else:
    print("taken", flush=True)
sys.stdin.readline()
claims.release(claim)
print("released", flush=True)
sys.stdin.readline()
"""

Holder = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Holder]:
    """Starts processes that try to take the bridge, and ends them."""
    started: list[subprocess.Popen[str]] = []

    def start(datapath: int = DATAPATH, trust: Trust = Trust.LOCAL) -> subprocess.Popen[str]:
        arguments = [str(tmp_path), str(datapath), trust.name]
        started.append(
            subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", _HOLDER, *arguments],
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


class Loser:
    """Gives its claim up when it is told to."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def __call__(self, reason: str) -> None:
        self.told.append(reason)


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


def test_bridge_given_back_can_be_taken_by_another_process(claims: Claims, holder: Holder) -> None:
    claims.release(claims.take("br-int", DATAPATH, PEER))
    assert "taken" == says(holder())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_bridge_of_a_process_that_died_is_free_at_once(
    claims: Claims, holder: Holder, number: signal.Signals
) -> None:
    first = holder()
    assert "taken" == says(first)
    first.send_signal(number)
    first.wait()
    claims.release(claims.take("br-int", DATAPATH, PEER))


def test_bridge_released_by_another_process_is_free(claims: Claims, holder: Holder) -> None:
    first = holder()
    assert "taken" == says(first)
    go_on(first)
    assert "released" == says(first)
    claims.release(claims.take("br-int", DATAPATH, PEER))


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


def test_bridges_are_told_apart_by_their_datapath_ids(claims: Claims, holder: Holder) -> None:
    """Another switch on the machine may have a bridge of the same name."""
    claims.take("br-int", DATAPATH, PEER)
    assert "taken" == says(holder(DATAPATH + 1))


def test_second_connection_to_a_bridge_is_refused_with_the_first(claims: Claims) -> None:
    claim = claims.take("br-int", DATAPATH, PEER)
    with pytest.raises(SwitchError) as caught:
        claims.take("br-int", DATAPATH, "tcp:127.0.0.1")
    assert f"br-int is connected already, through {PEER}" == str(caught.value)
    claims.release(claim)
    claims.take("br-int", DATAPATH, "tcp:127.0.0.1")


def test_bridge_of_another_name_with_a_datapath_id_that_is_taken_is_refused_with_both(
    claims: Claims,
) -> None:
    claims.take("br-int", DATAPATH, PEER)
    with pytest.raises(SwitchError) as caught:
        claims.take("br-ex", DATAPATH, "unix:/run/br-ex.mgmt")
    assert str(caught.value) == (
        f"br-ex has the datapath id 0000feed00000001 of br-int, which is connected through {PEER}"
    )


def test_two_bridges_are_taken_and_given_back_apart(claims: Claims, holder: Holder) -> None:
    claims.take("br-int", DATAPATH, PEER)
    claims.release(claims.take("br-ex", DATAPATH + 1, PEER))
    assert f"(process {os.getpid()})" in says(holder())
    assert "taken" == says(holder(DATAPATH + 1))


def test_bridge_given_back_twice_is_given_back_once(claims: Claims) -> None:
    first = claims.take("br-int", DATAPATH, PEER)
    claims.release(first)
    claims.take("br-int", DATAPATH, PEER)
    claims.release(first)
    with pytest.raises(SwitchError, match="is connected already"):
        claims.take("br-int", DATAPATH, PEER)


# Lock files


def test_lock_is_a_file_named_after_the_datapath_id_with_the_process_in_it(
    claims: Claims, tmp_path: Path
) -> None:
    claim = claims.take("br-int", DATAPATH, PEER)
    [lock] = tmp_path.iterdir()
    assert ("0000feed00000001.lock", f"{os.getpid()}\n") == (lock.name, lock.read_text())
    assert 0o600 == stat.S_IMODE(lock.stat().st_mode)
    claims.release(claim)
    assert [] == list(tmp_path.iterdir()), "the lock file goes with the claim"


def test_longer_number_of_an_earlier_process_is_not_mixed_with_ours(
    claims: Claims, tmp_path: Path
) -> None:
    (tmp_path / "0000feed00000001.lock").write_text("123456789012\n")
    claims.take("br-int", DATAPATH, PEER)
    assert f"{os.getpid()}\n" == (tmp_path / "0000feed00000001.lock").read_text()


def test_child_does_not_inherit_the_lock(claims: Claims, holder: Holder) -> None:
    """The clean-up process outlives the program for a moment."""
    claim = claims.take("br-int", DATAPATH, PEER)
    child = subprocess.Popen(
        [sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE, close_fds=False
    )
    claims.release(claim)
    assert "taken" == says(holder())
    child.communicate(b"\n")


def test_directory_that_cannot_be_made_costs_the_lock_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "run").write_text("a file")
    claims = Claims(str(tmp_path / "run" / "droplog"))
    with caplog.at_level(logging.WARNING):
        claim = claims.take("br-int", DATAPATH, PEER)
    assert 1 == caplog.text.count("br-int: no lock against a second run: ")
    with pytest.raises(SwitchError, match="is connected already"):
        claims.take("br-int", DATAPATH, PEER)
    claims.release(claim)


_FULL = """
import resource, sys
from pathlib import Path
from ryu_droplog.locks.bridge_claims import Claims
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # as a full disk: no byte can be written
claims = Claims(sys.argv[1])
for _ in range(2):
    claim = claims.take("br-int", 1, "peer")
    print([(path.name, path.stat().st_size) for path in Path(sys.argv[1]).iterdir()])
    claims.release(claim)
"""


def test_disk_that_is_full_costs_the_number_in_the_lock_and_no_bridge(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", _FULL, str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert 2 * ["[('0000000000000001.lock', 0)]"] == found.stdout.splitlines()


def test_full_disk_lets_another_process_see_that_the_bridge_is_taken(
    claims: Claims, holder: Holder, tmp_path: Path
) -> None:
    claims.take("br-int", DATAPATH, PEER)
    os.truncate(tmp_path / "0000feed00000001.lock", 0)
    assert "br-int: another ryu_droplog is at work there (process unknown)" == says(holder())


def test_lock_files_of_killed_processes_go_at_the_next_start(
    claims: Claims, holder: Holder, tmp_path: Path
) -> None:
    killed, lives = holder(), holder(DATAPATH + 1)
    assert ["taken", "taken"] == [says(killed), says(lives)]
    killed.kill()
    killed.wait()
    others = ["my.lock", "0000feed00000001.lock.bak", "notes"]
    for name in others:
        (tmp_path / name).touch()
    claims.prepare()
    assert sorted([*others, "0000feed00000002.lock"]) == sorted(os.listdir(tmp_path))
    go_on(lives)
    assert "released" == says(lives)
    assert sorted(others) == sorted(os.listdir(tmp_path))


_RACER = """
import sys, time
from pathlib import Path
from ryu_droplog.model.errors import SwitchError
from ryu_droplog.locks.bridge_claims import Claims
claims, inside = Claims(sys.argv[1]), Path(sys.argv[1], "inside")
print("ready", flush=True)
sys.stdin.readline()
taken = 0
deadline = time.monotonic() + 20
while taken < 100 and time.monotonic() < deadline:
    try:
        claim = claims.take("br-int", 1, "peer")
    except SwitchError:
        continue
    inside.mkdir()  # fails where two processes have the lock
    inside.rmdir()
    claims.release(claim)
    taken += 1
print(taken)
"""


def test_file_that_is_removed_and_made_again_is_locked_by_one_process_alone(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-W", "ignore", "-c", _RACER, str(tmp_path)]
    racers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert ["ready"] * 3 == [says(racer) for racer in racers]
    for racer in racers:
        go_on(racer)
    taken = [int(racer.communicate(timeout=60)[0]) for racer in racers]
    assert all(taken)
    assert [] == list(tmp_path.iterdir())


def test_look_at_a_lock_does_not_keep_a_start_out(claims: Claims, tmp_path: Path) -> None:
    """`doctor` has the lock for as long as it looks."""
    path = tmp_path / "0000feed00000001.lock"
    path.touch()
    stop = threading.Event()
    seen: set[str | None] = set()

    def look() -> None:
        while not stop.is_set():
            held = holder_of(str(tmp_path), DATAPATH)
            seen.add(held.process if held is not None else None)
            time.sleep(0.001)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(100):
            claims.release(claims.take("br-int", DATAPATH, PEER))
            path.touch()
    finally:
        stop.set()
        looking.join()
    assert seen <= {None, str(os.getpid()), "unknown"}


# What is in the place of a lock, and is none


def make_link(path: Path) -> None:
    target = path.with_name("target")
    target.write_text("precious")
    path.symlink_to(target)


def make_second_name(path: Path) -> None:
    target = path.with_name("target")
    target.write_text("precious")
    path.hardlink_to(target)


def make_dangling_link(path: Path) -> None:
    path.symlink_to(path.with_name("made"))


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (make_link, "a symbolic link"),
        (make_dangling_link, "a symbolic link"),
        (make_second_name, "a file with another name besides"),
        (os.mkfifo, "a pipe"),
        (os.mkdir, "a directory"),
    ],
)
@pytest.mark.parametrize("trust", [Trust.LOCAL, Trust.ANYONE])
def test_what_is_no_lock_is_refused_and_left_as_it_is(
    claims: Claims, tmp_path: Path, make: Callable[[Path], None], what: str, trust: Trust
) -> None:
    name = "0000feed00000001.lock" if trust is Trust.LOCAL else "0000feed00000001.accepted.lock"
    path = tmp_path / name
    make(path)
    before = path.lstat()
    with pytest.raises(SwitchError) as caught:
        claims.take("br-int", DATAPATH, PEER, trust)
    assert str(caught.value).startswith(f"br-int: {path}: {what} is there; expected a file of ")
    claims.prepare()
    assert None is holder_of(str(tmp_path), DATAPATH)
    assert before.st_ino == path.lstat().st_ino
    target = tmp_path / "target"
    assert not target.exists() or "precious" == target.read_text()
    assert not (tmp_path / "made").exists()


def test_directory_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    directory.mkdir()
    directory.chmod(0o1777)
    claims = Claims(str(directory))
    for refused in (claims.prepare, lambda: claims.take("br-int", DATAPATH, PEER)):
        with pytest.raises(DropLogError, match="others may write to the run directory"):
            refused()
    assert [] == list(directory.iterdir())


# Who came to us keeps nobody out


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Trust.ANYONE, Trust.ACCEPTED),
        (Trust.ANYONE, Trust.LOCAL),
        (Trust.ACCEPTED, Trust.OUTWARD),
        (Trust.OUTWARD, Trust.LOCAL),
    ],
)
@pytest.mark.parametrize(("name", "datapath"), [("br-int", 7), ("other", DATAPATH)])
def test_connection_that_is_trusted_more_takes_the_claim_over_at_once(
    claims: Claims, tmp_path: Path, first: Trust, second: Trust, name: str, datapath: int
) -> None:
    loser = Loser()
    lost = claims.take(name, datapath, "tcp:192.0.2.1", first, loser)
    claim = claims.take("br-int", DATAPATH, PEER, second)
    assert [f"{name} is disconnected in favour of br-int, reached through {PEER}"] == loser.told
    claims.release(lost)
    with pytest.raises(SwitchError):
        claims.take(name, datapath, "tcp:192.0.2.1", first)
    claims.release(claim)
    assert [] == list(tmp_path.iterdir())


def test_one_who_is_trusted_more_takes_over_from_two(claims: Claims) -> None:
    by_name, by_id = Loser(), Loser()
    claims.take("br-int", 7, "tcp:192.0.2.1", Trust.ANYONE, by_name)
    claims.take("other", DATAPATH, "tcp:192.0.2.2", Trust.ANYONE, by_id)
    claims.take("br-int", DATAPATH, PEER)
    assert [1, 1] == [len(by_name.told), len(by_id.told)]


@pytest.mark.parametrize("trust", list(Trust))
def test_connection_that_is_trusted_as_much_takes_nothing_over(
    claims: Claims, trust: Trust
) -> None:
    holds = Loser()
    claims.take("br-int", DATAPATH, PEER, trust, holds)
    with pytest.raises(SwitchError, match="is connected already"):
        claims.take("br-int", DATAPATH, PEER, trust)
    assert [] == holds.told


def test_claim_is_not_lost_to_one_whom_another_process_keeps_out(
    claims: Claims, holder: Holder
) -> None:
    holds = Loser()
    claims.take("br-int", 7, "tcp:192.0.2.1", Trust.ANYONE, holds)
    assert "taken" == says(holder())
    with pytest.raises(SwitchError, match="another ryu_droplog is at work there"):
        claims.take("br-int", DATAPATH, PEER)
    assert [] == holds.told


def test_who_came_to_another_process_keeps_nobody_out_who_reaches_the_bridge(
    claims: Claims, holder: Holder
) -> None:
    assert "taken" == says(holder(DATAPATH, Trust.ANYONE))
    claims.take("br-int", DATAPATH, PEER)


def test_bridge_that_came_to_us_gives_way_to_a_process_that_reaches_it(
    claims: Claims, holder: Holder, tmp_path: Path
) -> None:
    loser = Loser()
    claims.take("br-int", DATAPATH, PEER, Trust.ACCEPTED, loser)
    claims.review()
    assert [] == loser.told
    other = holder()
    assert "taken" == says(other)
    claims.review()
    assert [f"br-int: another ryu_droplog is at work there (process {other.pid})"] == loser.told
    assert ["0000feed00000001.lock"] == os.listdir(tmp_path)
    with pytest.raises(SwitchError, match="another ryu_droplog is at work there"):
        claims.take("br-int", DATAPATH, PEER, Trust.ACCEPTED)


def test_bridge_that_came_to_another_process_is_not_taken_by_one_to_whom_it_comes(
    claims: Claims, holder: Holder
) -> None:
    first = holder(DATAPATH, Trust.ACCEPTED)
    assert "taken" == says(first)
    with pytest.raises(SwitchError) as caught:
        claims.take("br-int", DATAPATH, PEER, Trust.ACCEPTED)
    expected = f"br-int: another ryu_droplog is at work there (process {first.pid})"
    assert expected == str(caught.value)


@pytest.mark.parametrize("trust", list(Trust))
def test_holder_of_a_bridge_is_found_however_it_is_connected(
    holder: Holder, tmp_path: Path, trust: Trust
) -> None:
    assert None is holder_of(str(tmp_path), DATAPATH)
    process = holder(DATAPATH, trust)
    assert "taken" == says(process)
    assert Holding(str(process.pid), None) == holder_of(str(tmp_path), DATAPATH)
    assert None is holder_of(str(tmp_path), DATAPATH + 1)
    go_on(process)
    assert "released" == says(process)
    assert None is holder_of(str(tmp_path), DATAPATH)


# Which runs have ended


def test_earlier_runs_with_the_run_directory_are_not_at_work_where_we_have_the_lock(
    tmp_path: Path,
) -> None:
    for run in (0x123400, 0x345600):
        Claims(str(tmp_path), run).prepare()
    claims = Claims(str(tmp_path), 0x567800)
    claims.prepare()
    assert not claims.dead(DATAPATH)
    claim = claims.take("br-int", DATAPATH, PEER)
    assert {0x123400, 0x345600} == claims.dead(DATAPATH)
    assert not claims.dead(DATAPATH + 1)
    claims.release(claim)
    assert not claims.dead(DATAPATH)


def test_run_that_was_killed_is_known_to_the_next_one_and_to_a_visitor(tmp_path: Path) -> None:
    Claims(str(tmp_path), 0x123400).prepare()
    (tmp_path / "0000feed00000001.lock").write_text("77 0x123400\n")
    visitor = Claims(str(tmp_path))
    visitor.take("br-int", DATAPATH, PEER)
    assert {0x123400} == visitor.dead(DATAPATH)


def test_lock_tells_process_and_generation(tmp_path: Path) -> None:
    claims = Claims(str(tmp_path), 0x123400)
    claim = claims.take("br-int", DATAPATH, PEER)
    assert Holding(str(os.getpid()), 0x123400) == holder_of(str(tmp_path), DATAPATH)
    claims.release(claim)


@pytest.mark.parametrize(
    "text", ["", "77", "77 x", "77 0x0", "77 -5", "77 0x1000000", "\udcff", "77 " + "9" * 500]
)
def test_lock_with_something_else_in_it_names_no_run(tmp_path: Path, text: str) -> None:
    path = tmp_path / "0000feed00000001.lock"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        process = "77" if text.startswith("77") else "unknown"
        assert Holding(process, None) == holder_of(str(tmp_path), DATAPATH)
