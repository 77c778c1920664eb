"""Datagrams of the OpFlex agent's switch: sent evenly to the running program, and what became of
them. No switch is needed.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from private_ovs import CommandError

from benchmarks.frames import of_kind
from benchmarks.processes import processor_seconds
from benchmarks.report import Figure, Report, Section, progress
from ryu_droplog.runtime import status_socket

RATES = (50_000, 100_000)
"""Datagrams a second."""
PORT = 50000
PATIENCE = 10.0
"""Seconds for the program to start, and to write what it has."""

_SENDER = """
import json, resource, socket, sys, time
rate, count = int(sys.argv[1]), int(sys.argv[2])
datagrams = [bytes.fromhex(line) for line in sys.stdin]
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect(("127.0.0.1", int(sys.argv[3])))
begin, sent = time.perf_counter(), 0
while sent < count:
    due = min(int((time.perf_counter() - begin) * rate), count)
    if due == sent:
        time.sleep(0.0002)
    for number in range(sent, due):
        sock.send(datagrams[number % len(datagrams)])
    sent = due
print(json.dumps([time.perf_counter() - begin, time.process_time()]))
"""


def run(report: Report, quick: bool, seconds: float) -> None:
    """Measure each rate."""
    section = report.section("receive", "Geneve datagrams on 127.0.0.1, lines into a file")
    with tempfile.TemporaryDirectory() as folder:
        for rate in RATES[:1] if quick else RATES:
            progress(f"receive, {rate:,}/s")
            _measure(section, Path(folder), rate, round(rate * seconds))
    section.note(
        "missed: dropped by the kernel because the socket's buffer was full; all of them are in"
        " the books"
    )


def datagram(frame: bytes, table: int) -> bytes:
    """A drop log of the access bridge, with the agent's options."""
    options = [(kind, bytes(4)) for kind in range(11)]
    options += [(11, bytes(16)), (12, struct.pack("!I", table)), (13, bytes(4)), (14, bytes(8))]
    body = b"".join(struct.pack("!HBB", 0xFFFF, k, len(v) // 4) + v for k, v in options)
    return struct.pack("!BBHI", len(body) // 4, 0, 0x6558, 2 << 8) + body + frame


def _measure(section: Section, folder: Path, rate: int, count: int) -> None:
    lines = folder / "lines"
    lines.unlink(missing_ok=True)
    config = folder / "droplog.yaml"
    config.write_text(
        json.dumps(
            {
                "receive": {"geneve": PORT},
                "drop_log_config": {"opflex_redirect_drop_logs": lines.name},
                "log_directory": str(folder),
                "run_directory": str(folder / "run"),
                "bridges": [{"name": "br-none", "connect": f"unix:{folder}/none"}],
                "books": {"interval": 0},
            }
        )
    )
    command = (str(Path(sys.executable).with_name("ryu-droplog")), "run", "--config", str(config))
    program = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        _await(_listens, "the program to listen")
        before = processor_seconds(program.pid)
        elapsed, sender = _send(rate, count)
        books = _settled(folder, count)
        used = processor_seconds(program.pid) - before
    finally:
        program.terminate()
        program.wait(PATIENCE)
    total = books["books"][""]
    section.add(
        f"{rate:,}/s",
        offered=Figure(count / elapsed, "datagrams/s"),
        sent=Figure(count, "datagrams"),
        lines=Figure(total["logged"], "lines"),
        missed=Figure(books["missed"], "datagrams"),
        unexplained=Figure(count - total["logged"] - total["refused"], "datagrams"),
        a_line=Figure(used / max(total["logged"], 1) * 1e6, "µs"),
        program=Figure(used / elapsed * 100, "% of a core"),
        sender=Figure(sender / elapsed * 100, "% of a core"),
    )


def _send(rate: int, count: int) -> tuple[float, float]:
    datagrams = [datagram(frame, 2 + n % 6) for n, frame in enumerate(of_kind("mixed"))]
    done = subprocess.run(
        (sys.executable, "-c", _SENDER, str(rate), str(count), str(PORT)),
        input="\n".join(one.hex() for one in datagrams),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    elapsed, processor = json.loads(done.stdout)
    return float(elapsed), float(processor)


def _listens() -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind(("127.0.0.1", PORT))
        except OSError:
            return True
    return False


def _settled(folder: Path, count: int) -> dict[str, Any]:
    """The books when every datagram is in them, or when nothing more comes."""
    deadline = time.monotonic() + PATIENCE
    while True:
        [told] = status_socket.ask(str(folder / "run"))
        [books] = told["receive"].values()
        total = books["books"][""]
        if total["logged"] + total["refused"] >= count or time.monotonic() > deadline:
            return dict(books)
        time.sleep(0.05)


def _await(ready: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ready():
        if time.monotonic() > deadline:
            raise CommandError(f"waited {PATIENCE:g} s in vain for {what}")
        time.sleep(0.05)
