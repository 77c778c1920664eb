"""Readers of captures: tshark (Debian `tshark`), and capinfos and editcap (`wireshark-common`)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .service import PATIENCE


def fields(
    capture: Path, names: Sequence[str], display_filter: str = "", cut_short: bool = False
) -> list[dict[str, str]]:
    """Those fields of each packet, by Wireshark's names; "" where a packet has none.

    Examples: `frame.comment`, `frame.interface_name`, `frame.interface_id`, `frame.time_epoch`,
    `frame.len`, `frame.cap_len`, `frame.packet_flags_direction`, `ip.src`. Several values of one
    field are joined by "|". `cut_short` takes a file whose end is still being written.
    """
    command = ["tshark", "-n", "-r", str(capture), "-T", "fields"]
    command += ["-E", "separator=/t", "-E", "aggregator=|", "-E", "quote=n"]
    for name in names:
        command += ["-e", name]
    if display_filter:
        command += ["-Y", display_filter]
    lines = _said(command, cut_short).splitlines()
    return [dict(zip(names, line.split("\t"), strict=True)) for line in lines]


def packets(capture: Path) -> list[dict[str, Any]]:
    """The layers of each packet as tshark's JSON has them; repeated keys are lists."""
    command = ["tshark", "-n", "-r", str(capture), "-T", "json", "--no-duplicate-keys"]
    return [packet["_source"]["layers"] for packet in json.loads(_said(command))]


def information(capture: Path) -> str:
    """What capinfos says: type, number of packets, snapshot length, interfaces with names."""
    return _said(["capinfos", "-M", str(capture)])


def rewritten(capture: Path, output: Path) -> None:
    """Have editcap rewrite a capture, which reads and writes every block of it."""
    _said(["editcap", str(capture), str(output)])


def _said(command: Sequence[str], cut_short: bool = False) -> str:
    """Run it. Raises AssertionError with what it said where it cannot read the file."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    is_cut = done.returncode == 2 and "cut short" in done.stderr
    assert done.returncode == 0 or (cut_short and is_cut), f"{command[0]}: {done.stderr}"
    return done.stdout
