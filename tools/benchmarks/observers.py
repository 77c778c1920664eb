"""Observers of a running program on a real switch: what they get, and what they cost it.

Each is a process of this machine's that reads all that it is sent, so that many of them take more
of the processors than the program does.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from private_ovs import stop_process

from benchmarks.bed import Bed, bed
from benchmarks.report import Figure, Report, Section
from ryu_droplog.observe.protocol import PROTOCOL, SUFFIX

RATE = 10_000
"""Drops a second."""
NUMBERS = (0, 1, 50)
STOP_TIME = 5.0

# Reads for all of them: connects so many times, follows, and counts lines and what was lost, until
# its input has ended and nothing comes any more.
_READERS = """
import json, select, socket, sys
path, number, protocol = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
QUIET = 2.0
ask = json.dumps({"protocol": protocol, "query": {"follow": True}}).encode() + b"\\n"
sockets = []
for _ in range(number):
    one = socket.socket(socket.AF_UNIX)
    one.connect(path)
    one.sendall(ask)
    one.recv(4096)
    sockets.append(one)
places = [*sockets, sys.stdin]
print("ready", flush=True)
lines = lost = 0
rest = dict.fromkeys(sockets, b"")
while True:
    ready, _, _ = select.select(places, [], [], QUIET)
    if sys.stdin in ready:
        places.remove(sys.stdin)
    elif not ready and sys.stdin not in places:
        break
    for one in set(ready) & set(sockets):
        *whole, rest[one] = (rest[one] + one.recv(1 << 18)).split(b"\\n")
        for line in whole:
            if line.startswith(b'{"control":'):
                lost += json.loads(line)["control"].get("lost", 0)
            else:
                lines += 1
print(lines, lost, flush=True)
"""


def run(report: Report, quick: bool, seconds: float) -> None:
    """Drops at a rate that the program takes alone, without observers, with one, with many."""
    section = report.section("observers", f"observers that follow {RATE:,} drops/s")
    with bed() as ready, ready.program() as pid:
        for number in NUMBERS[1:] if quick else NUMBERS:
            _measure(section, ready, pid, number, seconds)
    section.note(
        "lost = counted - lines, by the program; told = records and losses that each observer was"
        " told of, by what was counted: 1 where nothing is missing in silence"
    )


def _measure(section: Section, ready: Bed, pid: int, number: int, seconds: float) -> None:
    before = ready.books(pid)
    with _observers(ready, number) as readers:
        begin = time.monotonic()
        sent = ready.send(int(RATE * seconds), RATE)
        span = max(sent.seconds, ready.settle() - begin)
        got, lost = readers()
    after = ready.books(pid)
    counted, lines = after.counted - before.counted, after.lines - before.lines
    figures = {
        "counted": Figure(counted, "packets"),
        "lost": Figure(counted - lines, "packets"),
        "overflow": Figure(after.overflow - before.overflow, "messages"),
        "program": Figure((after.program - before.program) / span * 100, "% of a core"),
    }
    if number:
        figures |= {
            "records": Figure(got / number, "records an observer"),
            "lost_for_them": Figure(lost / number, "drops an observer"),
            "told": Figure((got + lost) / number / max(counted, 1), "times"),
        }
    section.add(f"{number} observers", **figures)


@contextmanager
def _observers(ready: Bed, number: int) -> Iterator[Callable[[], tuple[int, int]]]:
    """So many that follow; what is given says how many records and losses all of them got."""
    if not number:
        yield lambda: (0, 0)
        return
    path = next(Path(ready.switch.folder, "droplog").glob(f"*{SUFFIX}"))
    process = subprocess.Popen(
        (sys.executable, "-S", "-c", _READERS, str(path), str(number), str(PROTOCOL)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    closing, output = process.stdin, process.stdout

    def ended() -> tuple[int, int]:
        closing.close()
        got, lost = output.readline().split()
        return int(got), int(lost)

    try:
        output.readline()
        yield ended
    finally:
        stop_process(process, STOP_TIME)
