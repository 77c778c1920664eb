"""Whether Open vSwitch runs on this host, and which bridges it has: read from its run directory.

Who asks could not connect to a bridge's management socket, and is to be told what is wrong. A
connection to ovs-vswitchd's control socket tells whether it runs, in another namespace for
processes, too; nothing is asked there. Each bridge has its management socket beside it
(ovs-vswitchd(8), `<name>.mgmt`).
"""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

from ryu_droplog.config.endpoint import Endpoint, UnixEndpoint
from ryu_droplog.model.errors import why
from ryu_droplog.schema.wording import nearest
from ryu_droplog.text.printable import escape

NAMED = 10
"""Bridges that are named at most."""
_SUFFIX = ".mgmt"
_PATIENCE = 1.0
"""Seconds that a connection to the control socket may take."""


def cannot_connect(endpoint: Endpoint, error: OSError) -> str:
    """What to say of an endpoint where nobody could connect; never raises."""
    text = f"cannot connect to {endpoint}: {why(error)}"
    if isinstance(endpoint, UnixEndpoint) and endpoint.path.endswith(_SUFFIX):
        directory, name = os.path.split(endpoint.path.removesuffix(_SUFFIX))
        return f"{text}; {_context(directory, name, error)}"
    return text


def _context(directory: str, name: str, error: OSError) -> str:
    """What of Open vSwitch is found in its run directory, for who looks for the bridge `name`."""
    where = escape(directory)
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"user {os.geteuid()} may not use Open vSwitch's sockets, as root can"
    try:
        files = sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return f"Open vSwitch does not run there: there is no directory {where}"
    except OSError as trouble:
        return f"{where} cannot be looked at: {why(trouble)}"
    running = _runs(directory, files)
    if running is None:
        return f"whether Open vSwitch runs in {where} cannot be told: permission denied"
    if not running:
        return f"Open vSwitch does not run there: no ovs-vswitchd answers in {where}"
    bridges = [file.removesuffix(_SUFFIX) for file in files if file.endswith(_SUFFIX)]
    if name in bridges:
        return "Open vSwitch runs, and does not answer there"
    if not bridges:
        return "Open vSwitch runs, and has no bridge"
    return f"Open vSwitch runs, and has {_named(bridges)}{nearest(name, bridges)}"


def _named(bridges: list[str]) -> str:
    names = [escape(bridge) for bridge in bridges[:NAMED]]
    more = f" and {len(bridges) - NAMED} more" if len(bridges) > NAMED else ""
    return f"the bridge{'' if len(bridges) == 1 else 's'} {', '.join(names)}{more}"


def _runs(directory: str, files: list[str]) -> bool | None:
    """Whether an ovs-vswitchd takes connections; None: that may not be tried."""
    answer: bool | None = False
    controls = [file for file in files if file.startswith("ovs-vswitchd.")]
    for file in controls:
        if not file.endswith(".ctl"):
            continue
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                sock.settimeout(_PATIENCE)
                sock.connect(os.path.join(directory, file))
        except (TimeoutError, BlockingIOError):  # it is there, and does nothing
            return True
        except PermissionError:
            answer = None
        except OSError:
            continue
        else:
            return True
    if answer is False and not any(file.endswith(".ctl") for file in controls):
        return _by_process_id(directory)
    return answer


def _by_process_id(directory: str) -> bool:
    """The same where the control socket is elsewhere (`--unixctl`)."""
    try:
        pid = int(Path(directory, "ovs-vswitchd.pid").read_text(encoding="ascii"))
        return Path("/proc", str(pid), "comm").read_text(encoding="utf-8").strip() == "ovs-vswitchd"
    except (OSError, ValueError):
        return False
