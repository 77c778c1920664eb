"""What `ryu-droplog explain` says of a drop that the program has logged beside a real owner."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from functional.program import BIN, Program, eventually
from private_ovs import in_netns, run, send_frame

from .wire import TCP, UDP, Packet

PATIENCE = 30.0


def dropped(path: Path, send: Callable[[], None]) -> str:
    """The first record that the program writes to `path` once the packet is sent.

    Sent again every second: a flow of ours that has just given way to the owner's stands again
    within a few seconds, and what is dropped meanwhile is not told.
    """
    before = len(path.read_text().splitlines()) if path.exists() else 0

    def written() -> list[str]:
        return path.read_text().splitlines()[before:] if path.exists() else []

    def told() -> bool:
        send()
        return eventually(True, lambda: bool(written()), 1.0)

    assert eventually(True, told, PATIENCE)
    return written()[0]


def explained(program: Program, line: str) -> dict[str, Any]:
    """What the command says of it, as data."""
    done = subprocess.run(
        (str(BIN / "ryu-droplog"), "explain", "--config", str(program.config), "-o", "json", "-"),
        env=program.env,
        input=line,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def arrives(sender: str, receiver: str, packet: Packet, patience: float = PATIENCE) -> bool:
    """Whether such a packet comes out at another guest, sent until it does.

    Each time from another source port: Open vSwitch 3.1 ends with a failed assertion
    (lib/conntrack.c, conn_update_state) where a SYN comes twice by one connection with NAT.
    """
    before = received(receiver)
    ports = iter(range(45_000, 46_000))

    def sent() -> bool:
        again = packet.copy()
        for layer in (TCP, UDP):
            if layer in again:
                again[layer].sport = next(ports)
                del again[layer].chksum
        send_frame(sender, "eth0", bytes(again))
        return received(receiver) > before

    return eventually(True, sent, patience)


def received(guest: str) -> int:
    """Packets that have come out at its interface."""
    path = "/sys/class/net/eth0/statistics/rx_packets"
    return int(run(*in_netns(guest, "cat", path)))
