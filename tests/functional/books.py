"""Loads of drops, and what the switch and the program say became of them."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import sender
from private_ovs import SLOWNESS, CommandError, PrivateSwitch, in_netns, run, stop_process

from ryu_droplog.processing.report import ALL, COUNTERS

from .packets import IPV4, ethernet, ipv4, tcp
from .program import BIN, OURS, Program, eventually

OPEN_METER = "meter: {rate: 1000000, burst: 1000000}"
"""A meter that holds nothing back in these tests."""
ENDS = ("logged", "pruned", "folded", "summarised", "refused", "failed", "waiting")
LINE = re.compile(
    r"^\[\d{4}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2}\.\d{6}\] (?:\[info\] \[ryu_droplog\] )?"
    r"\S+ MISS  SMAC=.* URGP=\d+(?: REPEATED=\d+)?$"
)
"""A whole line of a dropped TCP segment."""
FLOWS = [
    ethernet(IPV4, ipv4("10.2.0.229", "10.2.0.195", 6, tcp(1024 + number, 80)))
    for number in range(64)
]
"""Segments of as many connections."""
_OVERFLOW = re.compile(r"^(?:rconn_overflow|packet_in_overflow)\s.*total: (\d+)", re.MULTILINE)
_PACKETS = re.compile(r"n_packets=(\d+)")
_BAND = re.compile(r"^\s*0:\s*packet_count:(\d+)", re.MULTILINE)


# Sending


def sending(
    switch: PrivateSwitch,
    count: int,
    rate: float,
    guest: str = "one",
    frames: Sequence[bytes] = FLOWS,
) -> tuple[str, ...]:
    """The command that sends so many frames, `rate` a second; 0: at line rate."""
    path = switch.folder / f"frames-{guest}"
    path.write_bytes(sender.pack(list(frames)))
    command = (sys.executable, "-I", "-S", sender.__file__, "eth0", str(count), str(rate))
    return in_netns(guest, *command, str(path))


def send(switch: PrivateSwitch, count: int, rate: float = 0, guest: str = "one") -> None:
    """Send frames that no flow wants."""
    run(*sending(switch, count, rate, guest), timeout=60 * SLOWNESS)


@contextmanager
def load(
    switch: PrivateSwitch,
    count: int,
    rate: float,
    guest: str = "one",
    frames: Sequence[bytes] = FLOWS,
) -> Iterator[subprocess.Popen[bytes]]:
    """Send in the background; at the end of the block all is sent."""
    process = switch.start(None, *sending(switch, count, rate, guest, frames))
    try:
        yield process
        assert 0 == process.wait(60 * SLOWNESS)
    finally:
        stop_process(process)


# What the switch says


def counted(switch: PrivateSwitch, bridge: str) -> int:
    """Packets that our flows of a bridge have counted."""
    return sum(map(int, _PACKETS.findall(switch.ofctl("dump-flows", bridge, OURS))))


def settled(switch: PrivateSwitch, bridge: str) -> int:
    """The same, when it has not changed for a second."""
    last, since = -1, time.monotonic()
    deadline = since + 30 * SLOWNESS
    while time.monotonic() - since < 1 and time.monotonic() < deadline:
        now = counted(switch, bridge)
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.1)
    return last


def held_back(switch: PrivateSwitch, bridge: str) -> int:
    """Packets that the meters of a bridge have dropped."""
    return sum(map(int, _BAND.findall(switch.ofctl("meter-stats", bridge))))


def overflow(switch: PrivateSwitch) -> int:
    """Messages that the switch threw away, over all connections, since it started.

    rconn_overflow: a connection took them too slowly; packet_in_overflow: ovs-vswitchd itself did.
    Its threads bring their numbers in about once a second (COVERAGE_CLEAR_INTERVAL).
    """
    return sum(map(int, _OVERFLOW.findall(switch.appctl("coverage/show"))))


# What the program says


def ask(program: Program, *arguments: str) -> str:
    """What `ryu-droplog status` prints, whether all is well or not."""
    command = (str(BIN / "ryu-droplog"), "status", *arguments, "--config", str(program.config))
    done = subprocess.run(command, capture_output=True, text=True, timeout=30 * SLOWNESS)
    if done.returncode not in (0, 1):
        raise CommandError(done.stderr.strip(), done.returncode)
    return done.stdout


def status(program: Program) -> dict[str, Any]:
    """What the program tells of itself."""
    return program.status()


def state(program: Program, bridge: str) -> dict[str, Any]:
    """What it tells of one bridge, balanced."""
    told: dict[str, Any] = status(program)["bridges"][bridge]
    for book in told["books"].values():
        assert balances(book), book
    return told


def total(program: Program, bridge: str) -> dict[str, Any]:
    """The book of all tables of a bridge, balanced."""
    return dict(state(program, bridge)["books"][ALL])


def balances(book: Mapping[str, Any]) -> bool:
    """Whether every drop in it has one end."""
    return (
        book["dropped"]
        == book["metered"] + book["lost_in_switch"] + book["received"] + book["unsent"]
        and book["received"] + book["unsent"] == sum(book[end] for end in ENDS)
        and min(book[column] for column in (*COUNTERS, "lost_in_switch")) >= 0
    )


def all_in(program: Program, bridge: str, dropped: int) -> dict[str, Any]:
    """The book of all tables once it has so many drops and none of them waits; or the last seen."""

    def look() -> tuple[int, int]:
        book.update(total(program, bridge))
        return book["dropped"], book["waiting"]

    book: dict[str, Any] = {}
    eventually((dropped, 0), look)
    return book


class File:
    """The file of drop lines of a run."""

    def __init__(self, switch: PrivateSwitch, folder: Path | None = None) -> None:
        self.folder = folder or switch.folder / "drops"
        self.path = self.folder / "drops.log"
        self.path.unlink(missing_ok=True)
        self.config = (
            f"log_directory: {self.folder}\n"
            f"drop_log_config: {{opflex_redirect_drop_logs: {self.path.name}}}\n"
        )

    def lines(self) -> int:
        return self.path.read_bytes().count(b"\n")

    def odd(self) -> list[str]:
        """Lines that are not whole."""
        return [line for line in self.path.read_text().splitlines() if not LINE.match(line)]


def when(look: Callable[[], bool]) -> bool:
    """Whether it comes true in time."""
    return eventually(True, look)
