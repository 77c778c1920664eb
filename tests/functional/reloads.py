"""Another configuration for a program that runs, and what it leaves as it was."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import sender
from private_ovs import PrivateSwitch, in_netns, stop_process

from .books import ask
from .packets import IPV4, ethernet, ipv4, tcp
from .program import OURS, Program, eventually

KEPT = "the configuration stays as it was"
"""How the line ends that says why a configuration is refused."""

_FLOW = re.compile(r"cookie=(0x[0-9a-f]+), duration=([0-9.]+)s,.*? n_packets=(\d+)")
_HARD_TIMEOUT = re.compile(r"\bhard_timeout=(\d+)")
_RATE = re.compile(r"\brate=(\d+)")
_NUMBER = re.compile(r" ID=(\d+) ")


class Flow(NamedTuple):
    """One of the program's flows as the switch tells of it."""

    duration: float
    """Seconds since it was added."""
    packets: int
    lease: int
    """Its hard_timeout, in seconds."""
    text: str


def config(**keys: Any) -> str:
    """The content of a droplog.yaml, of which JSON is a part; without run_directory."""
    return "\n".join(f"{key}: {json.dumps(value)}" for key, value in keys.items())


def write(program: Program, text: str, run_directory: str | None = None) -> None:
    """Put another droplog.yaml in the place of the program's, in one step."""
    new = program.config.with_name("new")
    new.write_text(f"run_directory: {run_directory or program.run_directory}\n{text}\n")
    os.replace(new, program.config)


def reload(program: Program, **keys: Any) -> None:
    """Have it go over to another droplog.yaml, without a signal."""
    before = program.times("read again")
    write(program, config(**keys))
    assert before + 1 == eventually(before + 1, lambda: program.times("read again")), program.said()


def configuration(program: Program) -> dict[str, Any]:
    """What `ryu-droplog status --json` says of the configuration."""
    [told] = json.loads(ask(program, "--json"))
    return dict(told["configuration"])


def flows(switch: PrivateSwitch, bridge: str) -> dict[str, Flow]:
    """The program's flows on a bridge by their cookies."""
    found = {}
    for line in switch.ofctl("dump-flows", bridge, OURS).splitlines():
        match, lease = _FLOW.search(line), _HARD_TIMEOUT.search(line)
        if match and lease:
            found[match[1]] = Flow(float(match[2]), int(match[3]), int(lease[1]), line)
    return found


def untouched(switch: PrivateSwitch, bridge: str, before: dict[str, Flow]) -> bool:
    """Whether the flows are those of before, and have stood there ever since."""
    now = flows(switch, bridge)
    return (
        bool(before)
        and now.keys() == before.keys()
        and all(now[cookie].duration > flow.duration for cookie, flow in before.items())
    )


def meter_rates(switch: PrivateSwitch, bridge: str) -> set[int]:
    """The rates of all meters of a bridge."""
    return set(map(int, _RATE.findall(switch.ofctl("dump-meters", bridge))))


def numbered(count: int) -> list[bytes]:
    """Frames of which each has a number of its own, from 1 on: the identification of IPv4."""
    segment = tcp(42934, 80)
    return [
        ethernet(IPV4, ipv4("10.2.0.229", "10.2.0.195", 6, segment, identification=number))
        for number in range(1, count + 1)
    ]


@contextmanager
def numbered_load(switch: PrivateSwitch, count: int, rate: float) -> Iterator[None]:
    """Send numbered frames from guest `one` in the background; all are sent at the block's end."""
    path = switch.folder / "numbered"
    path.write_bytes(sender.pack(numbered(count)))
    command = ("python3", "-I", "-S", sender.__file__, "eth0", str(count), str(rate), str(path))
    process = switch.start(None, *in_netns("one", *command))
    try:
        yield
        assert 0 == process.wait(60)
    finally:
        stop_process(process)


def numbers(*lines: Sequence[str] | Path) -> list[int]:
    """The numbers of the frames in drop lines or files of them, sorted."""
    texts = [one.read_text().splitlines() if isinstance(one, Path) else one for one in lines]
    return sorted(int(match[1]) for text in texts for one in text if (match := _NUMBER.search(one)))
