"""The program as a user runs it, and what it leaves on a switch."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from private_ovs import SLOWNESS, PrivateSwitch, stop_process

from ryu_droplog.model import cookie
from ryu_droplog.openflow.requests import METER_BASE
from ryu_droplog.runtime.status_socket import ask

BIN = Path(sys.executable).parent
"""The scripts of the environment that runs the tests."""
RUN = (str(BIN / "ryu-droplog"), "run", "--config", "{config}")
PATIENCE = 45.0
"""Seconds in which the program must have done what a test waits for, on a usual machine."""
OURS = f"cookie={cookie.FAMILY:#x}/{cookie.FAMILY_MASK:#x}"
"""Matches the flows of the program, of whatever run and on whatever bridge."""

_TIME = re.compile(r"\[\d{4}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2}\.\d{6}\] ")
_GENERATION = re.compile(r"(0x[0-9a-f]*d407)[0-9a-f]{6}([0-9a-f]{2}\b)")
_COOKIE = re.compile(r"\bcookie=(0x[0-9a-f]+)")
_METER = re.compile(r"\bmeter=(\d+)")
_METER_ID = re.compile(r"\bmeter_id=(\d+)")
_RENEWED = re.compile(r"max_len=65534,")

T = TypeVar("T")


def eventually(expected: object, look: Callable[[], T], patience: float = PATIENCE) -> T:
    """Look until it is as expected or `patience` seconds are over; what was seen last.

    On a machine that is said to be slow, as many times `patience`.
    """
    deadline = time.monotonic() + patience * SLOWNESS
    while (actual := look()) != expected and time.monotonic() < deadline:
        time.sleep(0.03)
    return actual


def our_flows(switch: PrivateSwitch, bridge: str) -> list[str]:
    """The program's flows on a bridge, without what differs from run to run.

    Dots stand for the generation in the cookie, and `meter_id=<4>` for the meter of table 4; what
    every other renewal of a lease changes is left out.
    """
    flows = (_RENEWED.sub("", flow) for flow in switch.flows(bridge, OURS))
    return [_METER_ID.sub(_metered_table, _GENERATION.sub(r"\1......\2", flow)) for flow in flows]


def _metered_table(match: re.Match[str]) -> str:
    return f"meter_id=<{(int(match[1]) - METER_BASE) % 256}>"


def watched(switch: PrivateSwitch, bridge: str) -> list[int]:
    """The tables that have a flow of the program."""
    return [int(flow.partition(", ")[0][-2:], 16) for flow in our_flows(switch, bridge)]


def foreign_flows(switch: PrivateSwitch, bridge: str) -> list[str]:
    """Everyone else's flows on a bridge.

    From one dump: between two, flows of ours may come and go.
    """
    return [flow for flow in switch.flows(bridge) if not is_ours(flow)]


def is_ours(flow: str) -> bool:
    """Whether a flow, as ovs-ofctl prints it, has a cookie of the program's."""
    found = _COOKIE.search(flow)
    return found is not None and int(found[1], 16) & cookie.FAMILY_MASK == cookie.FAMILY


def our_meters(switch: PrivateSwitch, bridge: str) -> list[int]:
    """The tables whose meters, made by the program, are on a bridge."""
    return sorted((number - METER_BASE) % 256 for number in meter_numbers(switch, bridge))


def meter_numbers(switch: PrivateSwitch, bridge: str) -> list[int]:
    """The ids of the program's meters on a bridge."""
    ids = [int(text) for text in _METER.findall(switch.ofctl("dump-meters", bridge))]
    return sorted(number for number in ids if number >= METER_BASE)


def add_flows(switch: PrivateSwitch, bridge: str, *flows: str) -> None:
    """Add flows as their owner does."""
    for flow in flows:
        switch.ofctl("add-flow", bridge, flow)


class Program:
    """A run of the program, ended at the end of a `with` block at the latest."""

    def __init__(
        self,
        switch: PrivateSwitch,
        config: str,
        *,
        command: Sequence[str] = RUN,
        env: Mapping[str, str] = os.environ,
        name: str = "program",
        run_directory: str = "locks",
    ) -> None:
        """`config` is the content of droplog.yaml; its path takes the place of `{config}`.

        The run directory is in the switch's folder; all else is in a folder of its own.
        """
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=switch.folder))
        self.config = folder / "droplog.yaml"
        self.run_directory = f"{switch.folder}/{run_directory}"
        self.config.write_text(f"run_directory: {self.run_directory}\n{config}\n")
        self.output = folder / "output"
        self.errors = folder / "errors"
        config_path = str(self.config)
        self._command = [part.replace("{config}", config_path) for part in command]
        ovs = {key: value for key, value in switch.env.items() if key.startswith("OVS_")}
        self.env = {k: v.replace("{config}", config_path) for k, v in {**env, **ovs}.items()}

    def __enter__(self) -> Program:
        with self.output.open("wb") as output, self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                ("setpriv", "--pdeathsig", "KILL", *self._command),
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.send_signal(signal.SIGCONT)
        stop_process(self.process)
        if error is not None:
            sys.stderr.write(f"--- {' '.join(self._command)}\n{self.said()}")

    def end(self, number: signal.Signals = signal.SIGTERM, patience: float = 5.0) -> int:
        """End it with a signal. Gives back its return code; fails after `patience` seconds."""
        self.process.send_signal(number)
        return self.process.wait(patience * SLOWNESS)

    @property
    def clean_up_process(self) -> int:
        """The process id of its only child, which cleans up after it."""
        tasks = Path("/proc", str(self.process.pid), "task")
        [pid] = " ".join(path.read_text() for path in tasks.glob("*/children")).split()
        return int(pid)

    def kill_with_its_will(self) -> None:
        """Kill it, and before that the process that would clean up after it."""
        self.process.send_signal(signal.SIGSTOP)
        os.kill(self.clean_up_process, signal.SIGKILL)
        self.end(signal.SIGKILL)

    def status(self) -> dict[str, Any]:
        """What it tells of itself, as `ryu-droplog status --json` prints it.

        Asked without that command, whose start takes as long as many answers.
        """
        [answer] = [told for told in ask(self.run_directory) if told["pid"] == self.process.pid]
        return answer

    def lines(self) -> list[str]:
        """The drop lines on standard output, each without its time."""
        return [_TIME.sub("", line, count=1) for line in self.output.read_text().splitlines()]

    def said(self) -> str:
        """What it said of itself, on standard error."""
        return self.errors.read_text(errors="replace")

    def times(self, text: str) -> int:
        """How often it said that."""
        return self.said().count(text)
