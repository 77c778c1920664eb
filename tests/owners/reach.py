"""Who reaches whom: the matrix that must be the same with us and without."""

from __future__ import annotations

import time
from collections.abc import Sequence

from private_ovs import CommandError, PrivateSwitch, in_netns, run

PORTS = (22, 80, 81)
"""TCP ports on which every guest listens."""


def reach(
    switch: PrivateSwitch, addresses: dict[str, str], pairs: Sequence[tuple[str, str]]
) -> dict[str, bool]:
    """By TCP on each of `PORTS`, and by the echo of ICMP, from one guest to another."""
    servers = [
        switch.start(guest, "python3", "-m", "http.server", str(port))
        for guest in {target for _, target in pairs}
        for port in PORTS
    ]
    time.sleep(1.0)
    reached = {}
    try:
        for source, target in pairs:
            address = addresses[target]
            for port in PORTS:
                get = ("curl", "-s", "-o", "/dev/null", "-m", "2", f"http://{address}:{port}/")
                reached[f"{source} to {target}:{port}"] = _succeeds(source, *get)
            ping = ("ping", "-c", "1", "-W", "1", address)
            reached[f"{source} pings {target}"] = _succeeds(source, *ping)
    finally:
        for server in servers:
            server.terminate()
            server.wait()
    return reached


def _succeeds(guest: str, *command: str) -> bool:
    try:
        run(*in_netns(guest, *command))
    except CommandError as error:
        if error.status is None:  # it is not installed, or hangs
            raise
        return False
    return True
