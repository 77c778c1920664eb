"""`python -m benchmarks`: what tools/bench calls."""

from __future__ import annotations

import argparse
import signal
import sys
from importlib import import_module
from pathlib import Path

from private_ovs import CommandError, enter_private_namespaces

from benchmarks import (
    baseline,
    chain,
    encode,
    flood,
    forward_files,
    identity,
    live,
    memory,
    observers,
    prune,
    receive,
    ring,
    room,
    storm,
)
from benchmarks.report import Report

SECTIONS = (
    "chain",
    "ring",
    "baseline",
    "encode",
    "forward_files",
    "prune",
    "identity",
    "receive",
    "live",
    "observers",
    "storm",
    "flood",
    "room",
    "memory",
    "idle",
)
INTO_RECEIVERS = (
    "forward_fluent",
    "forward_kafka",
    "forward_syslog",
    "forward_otlp",
    "forward_all",
)
ON_REQUEST = (*INTO_RECEIVERS, "fleet")
"""Sections that need the receivers of tools/prepare --test, and are measured only when named."""
LIVE_SECONDS, STORM_SECONDS, ROOM_SECONDS, IDLE_SECONDS = 5.0, 20.0, 10.0, 30.0
QUICK_SECONDS = 3.0


def main() -> int:
    """Measure what is asked for, print the tables; returns the exit status."""
    arguments = _parse(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    # Before any thread is started: those would stay outside.
    enter_private_namespaces()
    quick, seconds = arguments.quick, arguments.seconds
    usual = QUICK_SECONDS if quick else None
    report = Report()
    try:
        if "chain" in arguments.only:
            chain.run(report, quick)
        if "ring" in arguments.only:
            ring.run(report, quick)
        if "baseline" in arguments.only:
            baseline.run(report, quick)
        if "encode" in arguments.only:
            encode.run(report, quick)
        if "forward_files" in arguments.only:
            forward_files.run(report, quick)
        if "prune" in arguments.only:
            prune.run(report, quick)
        if "identity" in arguments.only:
            identity.run(report, quick)
        if "receive" in arguments.only:
            receive.run(report, quick, seconds or usual or LIVE_SECONDS)
        if "live" in arguments.only:
            live.run(report, quick, seconds or usual or LIVE_SECONDS)
        if "observers" in arguments.only:
            observers.run(report, quick, seconds or usual or LIVE_SECONDS)
        if "storm" in arguments.only:
            storm.run(report, quick, seconds or usual or STORM_SECONDS)
        if "flood" in arguments.only:
            flood.run(report, arguments.rounds or (1 if quick else None), arguments.beside)
        if "room" in arguments.only:
            span = seconds or usual or ROOM_SECONDS
            room.run(report, quick, span, arguments.rounds, arguments.beside)
        if "memory" in arguments.only:
            memory.run(report, quick)
        for name in INTO_RECEIVERS:
            if name in arguments.only:
                import_module(f"benchmarks.{name}").run(report, quick)
        if "idle" in arguments.only:
            memory.idle(report, seconds or usual or IDLE_SECONDS)
        if "fleet" in arguments.only:
            from benchmarks import fleet  # needs the receivers of the tests

            fleet.run(report, quick, seconds)
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        if report.sections:
            print(report)
        if arguments.json is not None:
            report.write(arguments.json)
    return 0


def _parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/bench", allow_abbrev=False)
    parser.add_argument("--json", type=_new_file, metavar="FILE")
    parser.add_argument("--only", type=_sections, default=SECTIONS, metavar="SECTION,...")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seconds", type=_seconds, default=None, metavar="N")
    # For --against: how often `flood` and `room` measure, and the tree beside which.
    parser.add_argument("--rounds", type=int, default=None, help=argparse.SUPPRESS)
    parser.add_argument("--beside", type=Path, default=None, help=argparse.SUPPRESS)
    return parser.parse_args(words)


def _sections(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in SECTIONS + ON_REQUEST:
            known = ", ".join(SECTIONS + ON_REQUEST)
            raise argparse.ArgumentTypeError(
                f"got {name!r}, expected some of {known} with commas between"
            )
    return names


def _new_file(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a file in a folder that is there")
    return path


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 600:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected 1 to 600")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
