"""`python -m fleet`: what tools/fleet-sim calls."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from fleet.catalogue import MINUTE, SHORTEST
from fleet.simulation import Simulation, Size

LONGEST = 86_400
"""Seconds of a simulation: a day."""
MOST_NODES, FASTEST = 10_000, 1_000
DESCRIPTION = """
Writes the records of a fleet into a broker of Kafka's, as fast as it goes: what NODES nodes drop in
SECONDS seconds of their own time, RATE drops a second each, encoded by the program itself. The same
arguments give the same drops. Some problems are old, some come to many nodes at once, some to a few
or slowly; --truth writes what is true of them, to compare the answers of docs/fleet with.
The topic has to be there.
"""


def main(words: list[str] | None = None) -> int:
    """Write what is asked for; returns the exit status."""
    arguments = _parse(sys.argv[1:] if words is None else words)
    try:
        from fleet.writer import WriteError, write
    except ImportError:
        print("error: confluent-kafka is missing: pip install confluent-kafka", file=sys.stderr)
        return 1
    size = Size(arguments.nodes, arguments.rate, arguments.seconds, arguments.history)
    begin = arguments.begin
    if begin is None:
        begin = int(time.time() - size.seconds) // MINUTE * MINUTE
    simulation = Simulation(size, begin, arguments.encode, arguments.seed)
    try:
        written, octets, seconds = write(
            simulation.events(),
            arguments.brokers,
            arguments.topic,
            size.records,
            quiet=arguments.quiet,
        )
    except WriteError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if arguments.truth is not None:
        arguments.truth.write_text(json.dumps(simulation.truth.told(), indent=1) + "\n")
    print(
        f"{written:,} records of {octets / written:,.0f} bytes in {seconds:.1f} s, "
        f"{written / seconds:,.0f}/s"
    )
    return 0


def _parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("tools/fleet-sim", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--brokers", default="127.0.0.1:9092", help="default: %(default)s")
    parser.add_argument("--topic", default="ryu_droplog.drops", help="default: %(default)s")
    number = _between
    parser.add_argument(
        "--nodes", type=number(1, MOST_NODES), default=100, help="default: %(default)s"
    )
    parser.add_argument(
        "--rate",
        type=number(1, FASTEST),
        default=20,
        help="drops a second of each node; default: %(default)s",
    )
    parser.add_argument(
        "--seconds",
        type=number(SHORTEST, LONGEST),
        default=600,
        help=f"of their time, {SHORTEST} to {LONGEST}; default: %(default)s",
    )
    parser.add_argument(
        "--history",
        type=number(0, LONGEST),
        default=10,
        metavar="SECONDS",
        help="of the day before, without what is new today; default: %(default)s",
    )
    parser.add_argument(
        "--begin",
        type=_time,
        metavar="TIME",
        help="when their time begins, as 2026-01-31T12:00Z; default: so that it ends now",
    )
    parser.add_argument(
        "--encode", choices=("native", "ecs"), default="ecs", help="default: %(default)s"
    )
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--truth", type=Path, metavar="FILE", help="write what is true, as JSON")
    parser.add_argument("--quiet", action="store_true", help="say nothing until the end")
    return parser.parse_args(words)


def _between(low: int, high: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"got {text!r}, expected {low} to {high}")
        return int(text)

    return number


def _time(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        if moment.tzinfo is None:
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected a time such as 2026-01-31T12:00Z"
        ) from None
    return int(moment.timestamp()) // MINUTE * MINUTE


if __name__ == "__main__":
    sys.exit(main())
