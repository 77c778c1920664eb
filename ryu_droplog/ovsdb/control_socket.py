"""Where ovs-vswitchd takes commands: its control socket (ovs-appctl(8))."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ryu_droplog.model.errors import SwitchError, why


class Control(NamedTuple):
    """An ovs-vswitchd that wrote its process id."""

    process: int
    socket: str
    """Path."""


def find(rundir: str) -> Control:
    """The one with that run directory; raises SwitchError where there is none."""
    path = f"{rundir}/ovs-vswitchd.pid"
    try:
        process = int(Path(path).read_text(encoding="ascii"))
    except OSError as error:
        raise SwitchError(f"{path}: {why(error)}") from error
    except ValueError as error:
        raise SwitchError(f"{path}: no process id") from error
    return Control(process, f"{rundir}/ovs-vswitchd.{process}.ctl")
