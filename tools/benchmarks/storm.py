"""A storm of drops under the default meter, while permitted traffic crosses the same bridge."""

from __future__ import annotations

import json
import statistics
import sys
import time
from contextlib import ExitStack

from private_ovs import CommandError

from benchmarks import permitted
from benchmarks.bed import BRIDGE, Bed, bed, sent
from benchmarks.report import Figure, Report

RATE = 100_000
"""Drops a second."""
ROUNDS = 3
"""Each without and with the program."""
HEAD_START = 0.3
"""Seconds from the storm's begin to the permitted traffic's."""
_CLIENT, _SERVER = "client", "server"
_CLIENT_ADDRESS, _ADDRESS, _PORT = "10.9.0.1", "10.9.0.2", 5001


def run(report: Report, quick: bool, seconds: float) -> None:
    """Measure the permitted throughput without and with the program, and check the books."""
    section = report.section("storm", f"a storm of {RATE:,} drops/s under the default meter")
    rounds = 1 if quick else ROUNDS
    without: list[float] = []
    beside: list[float] = []
    shares: list[float] = []
    with bed() as ready:
        _permit(ready)
        for number in range(rounds):
            without.append(_round(ready, seconds)[0])
            with ready.program(meter="default") as pid:
                before = ready.books(pid)
                held = ready.held_back()
                throughput, offered = _round(ready, seconds)
                ready.settle()
                after = ready.books(pid)
                counted, lines = after.counted - before.counted, after.lines - before.lines
                held = ready.held_back() - held
                beside.append(throughput)
                shares.append((after.program - before.program) / seconds * 100)
                section.add(
                    f"books, round {number + 1}",
                    offered=Figure(offered, "frames/s"),
                    counted=Figure(counted, "packets"),
                    lines=Figure(lines, "lines"),
                    held_back=Figure(held, "packets"),
                    unexplained=Figure(counted - lines - held, "packets"),
                )
    ratios = [b / a for a, b in zip(without, beside, strict=True)]
    section.add(
        "permitted TCP",
        without=Figure.of(without, "Mbit/s"),
        beside=Figure.of(beside, "Mbit/s"),
        ratio=Figure.of(ratios, "times"),
        program=Figure.of(shares, "% of a core"),
    )
    section.note(
        "without, beside: the permitted throughput in the storm without and beside the program; "
        f"median of {rounds}: {statistics.median(ratios):.2f}"
    )
    section.note("unexplained = counted by the flow - lines - rate-limited by the meter")


def _permit(ready: Bed) -> None:
    """Plug in two guests whose traffic to each other the bridge forwards."""
    switch = ready.switch
    one = switch.guest(_CLIENT, BRIDGE, f"{_CLIENT_ADDRESS}/24").ofport
    other = switch.guest(_SERVER, BRIDGE, f"{_ADDRESS}/24").ofport
    for source, target in ((one, other), (other, one)):
        flow = f"table=0,priority=100,in_port={source},actions=output:{target}"
        switch.ofctl("add-flow", BRIDGE, flow)


def _round(ready: Bed, seconds: float) -> tuple[float, float]:
    """One storm with a permitted connection; returns its Mbit/s, and the drops offered a second."""
    switch = ready.switch
    serve = (sys.executable, "-S", permitted.__file__, "serve", _ADDRESS, str(_PORT))
    send = (sys.executable, "-S", permitted.__file__, "send", _ADDRESS, str(_PORT), str(seconds))
    with ExitStack() as stack:
        storm_said = stack.enter_context((switch.folder / "storm").open("w+b"))
        said = stack.enter_context((switch.folder / "permitted").open("w+b"))
        server = switch.start(_SERVER, *serve, output=said.fileno())
        storming = ready.sending(int(RATE * seconds), RATE)
        storm = switch.start(None, *storming, output=storm_said.fileno())
        time.sleep(HEAD_START)
        client = switch.start(_CLIENT, *send)
        deadline = seconds * 2 + 3 * permitted.PATIENCE
        for process in (client, server, storm):
            if process.wait(deadline) != 0:
                said.seek(0)
                raise CommandError(f"the storm's traffic failed: {said.read().decode()}")
        said.seek(0)
        storm_said.seek(0)
        done = json.loads(said.read())
        offered = sent(storm_said.read().decode())
    return done["bytes"] * 8 / done["seconds"] / 1e6, offered.frames / offered.seconds
