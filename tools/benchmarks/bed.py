"""The test bed: a private switch with one bridge, guests that send, and the program beside it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from private_ovs import CommandError, PrivateSwitch, in_netns, run, stop_process

from benchmarks import frames, sender
from benchmarks.processes import processor_seconds
from ryu_droplog.model import cookie

BRIDGE = "br-bench"
SENDER = "sender"
"""The guest whose frames no flow wants."""
START_TIME = 30.0
"""Seconds that a program may take until its flow is on the bridge."""
STOP_TIME = 20.0
SETTLE_TIME = 0.5
"""Seconds without a new line after which all lines are taken to be written."""

COVERAGE_TIME = 1.2
"""Seconds after which the switch has summed up its coverage counters."""

SCRIPTS = Path(sys.executable).parent
"""The folder of this tree's commands."""

APPLICATION_PORT = 6654
"""Where the usual application listens, in the private network namespace."""
_OURS = f"cookie={cookie.FAMILY:#x}/{cookie.FAMILY_MASK:#x}"
_PACKETS = re.compile(r"n_packets=(\d+)")
_BAND = re.compile(r"^\s*0:\s*packet_count:(\d+)", re.MULTILINE)
_OVERFLOW = re.compile(r"^rconn_overflow\s.*total: (\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Sent:
    """What the sender did."""

    frames: int
    seconds: float
    processor: float
    """Seconds of processor time."""


@dataclass(frozen=True)
class Books:
    """Counters at one moment."""

    counted: int
    """Packets of the flow that sends to the program."""
    overflow: int
    """Messages that the switch threw away because a connection took them too slowly."""
    lines: int
    program: float
    """Seconds of processor time."""
    switch: float


class Bed:
    """A running private switch; make it with `bed`."""

    def __init__(self, switch: PrivateSwitch) -> None:
        self.switch = switch
        self.log = switch.folder / "log" / "drops.log"
        self.frames = switch.folder / "frames"
        self.frames.write_bytes(sender.pack(frames.of_kind("TCP", 128)))
        switch.add_bridge(BRIDGE)
        self.port = switch.guest(SENDER, BRIDGE).ofport

    # The program, and what it is compared with

    def config(
        self,
        connect: str | None,
        meter: str | None,
        bridges: Sequence[str],
        keys: Mapping[str, object] = MappingProxyType({}),
    ) -> Path:
        """Write a droplog.yaml; `connect` and `meter` as they stand there, None: the default.

        `keys` are others at its top.
        """
        path = self.switch.folder / "droplog.yaml"
        data = {
            "drop_log_config": {"opflex_redirect_drop_logs": self.log.name},
            "log_directory": str(self.log.parent),
            "run_directory": str(self.switch.folder / "droplog"),
            "bridges": [{"name": name, "connect": connect} for name in bridges],
            "meter": {"rate": 1_000_000, "burst": 1_000_000} if meter is None else {},
            **keys,
        }
        path.write_text(json.dumps(data))  # which is YAML, too
        return path

    def knows(self, connect: str) -> bool:
        """Whether the program knows this way of connecting."""
        config = self.config(connect, None, [BRIDGE])
        command = (str(SCRIPTS / "ryu-droplog"), "check-config", str(config))
        return subprocess.run(command, env=self.switch.env, capture_output=True).returncode == 0

    @contextmanager
    def program(
        self,
        connect: str | None = None,
        meter: str | None = None,
        bridges: Sequence[str] = (BRIDGE,),
        keys: Mapping[str, object] = MappingProxyType({}),
        scripts: Path = SCRIPTS,
    ) -> Iterator[int]:
        """Run `ryu-droplog run` until the end of the block; gives its process id.

        `meter`: None is out of the way, "default" the program's own. `keys` are others of the
        configuration, `scripts` the folder with the command. Raises CommandError when the program
        does not get its flows onto the bridges.
        """
        config = self.config(connect, meter, bridges, keys)
        command = (str(scripts / "ryu-droplog"), "run", "--config", str(config))
        # Of another tree, it must not find the packages of this one.
        with self._running(command, {"PYTHONPATH": ""}) as process:
            self._wait(process, lambda: all(self.count(name) is not None for name in bridges))
            yield process.pid

    @contextmanager
    def usual_application(self) -> Iterator[int]:
        """Run the usual kind of OS-Ken application as the bridge's controller; gives its pid."""
        manager = (str(SCRIPTS / "osken-manager"), "--ofp-listen-host", "127.0.0.1")
        port = ("--ofp-tcp-listen-port", str(APPLICATION_PORT))
        env = {"PYTHONPATH": str(Path(__file__).parent.parent), "BENCH_LINES": str(self.log)}
        with self._running((*manager, *port, "benchmarks.usual_app"), env) as process:
            self.switch.vsctl("set-controller", BRIDGE, f"tcp:127.0.0.1:{APPLICATION_PORT}")
            try:
                self._wait(process, lambda: self.count(BRIDGE, "cookie=0/0") is not None)
                yield process.pid
            finally:
                self.switch.vsctl("del-controller", BRIDGE)
                self.switch.ofctl("del-flows", BRIDGE)

    @contextmanager
    def _running(
        self, command: Sequence[str], env: dict[str, str]
    ) -> Iterator[subprocess.Popen[bytes]]:
        self.log.unlink(missing_ok=True)
        self.log.touch()
        said = self.switch.folder / "said"
        with said.open("wb") as output:
            process = subprocess.Popen(
                ("setpriv", "--pdeathsig", "KILL", *command),
                env=self.switch.env | env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self._said = said
        try:
            yield process
        finally:
            stop_process(process, STOP_TIME)

    def _wait(self, process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_TIME
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise CommandError(f"no flow on the bridge: {self._said.read_text()[-2000:]}")
            time.sleep(0.1)
        time.sleep(0.3)

    # Sending and counting

    def send(self, count: int, rate: float) -> Sent:
        """Send frames that will be dropped; `rate` a second, 0 for line rate."""
        seconds = count / rate if rate else 0.0
        said = run(*self.sending(count, rate), timeout=30.0 + 3 * seconds)
        return sent(said)

    def sending(self, count: int, rate: float) -> tuple[str, ...]:
        """The command that sends."""
        command = (sys.executable, "-S", sender.__file__, "eth0", str(count), str(rate))
        return in_netns(SENDER, *command, str(self.frames))

    def count(self, bridge: str = BRIDGE, flows: str = _OURS) -> int | None:
        """Packets that our flows of a bridge counted; None when it has none of ours."""
        dump = self.switch.ofctl("dump-flows", bridge, flows)
        packets = _PACKETS.findall(dump)
        return sum(map(int, packets)) if packets else None

    def held_back(self) -> int:
        """Packets that the meters of the bridge dropped."""
        return sum(map(int, _BAND.findall(self.switch.ofctl("meter-stats", BRIDGE))))

    def lines(self) -> int:
        """Lines in the file of drops."""
        lines = 0
        with self.log.open("rb") as file:
            while chunk := file.read(1 << 20):
                lines += chunk.count(b"\n")
        return lines

    def settle(self) -> float:
        """Wait until no line has come for a while, and the switch has summed up.

        Returns the time.monotonic() of the last line, to half a second.
        """
        last = time.monotonic()
        time.sleep(COVERAGE_TIME)
        before = -1
        while (size := self.log.stat().st_size) != before:
            if before >= 0:
                last = time.monotonic()
            before = size
            time.sleep(SETTLE_TIME)
        return last

    def books(self, program: int, flows: str = _OURS) -> Books:
        """All counters now; `program` is a process id."""
        vswitchd = int((self.switch.rundir / "ovs-vswitchd.pid").read_text())
        found = _OVERFLOW.search(self.switch.appctl("coverage/show"))
        return Books(
            counted=self.count(BRIDGE, flows) or 0,
            overflow=int(found[1]) if found else 0,
            lines=self.lines(),
            program=processor_seconds(program),
            switch=processor_seconds(vswitchd),
        )


def sent(said: str) -> Sent:
    """Read what the sender said."""
    done = json.loads(said)
    return Sent(done["sent"], done["seconds"], done["processor"])


@contextmanager
def bed() -> Iterator[Bed]:
    """A private switch with the bridge; needs `enter_private_namespaces` before."""
    with PrivateSwitch() as switch:
        yield Bed(switch)
