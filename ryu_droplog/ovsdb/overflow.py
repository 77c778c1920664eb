"""What ovs-vswitchd counts of PacketIns that it lost on its own way, asked at its control socket.

Two of its coverage counters (ovs-appctl(8), `coverage/read-counter`):

- `packet_in_overflow` (ofproto/ofproto-dpif.c): between the threads that handle upcalls and the
  main thread 1,024 messages of a bridge may wait; more are thrown away.
- `rconn_overflow` (lib/rconn.c): 100 messages may wait for a connection that takes them too
  slowly; more are thrown away.

Each is one number since ovs-vswitchd began, for all its bridges and all its controllers.
"""

from __future__ import annotations

from contextlib import closing
from typing import NamedTuple

from ryu_droplog.model.errors import SwitchError
from ryu_droplog.ovsdb.control_socket import find
from ryu_droplog.ovsdb.jsonrpc import PATIENCE, Connection, until
from ryu_droplog.text.printable import printable

CAUSES = {
    "packet_in_overflow": "between its threads",
    "rconn_overflow": "because a connection took them too slowly",
}
"""Why PacketIns were thrown away, by the counter."""
_ANSWER_SIZE = 64 * 1024


class Overflow(NamedTuple):
    """What one ovs-vswitchd has counted so far."""

    process: int
    """Its process id: another one has begun to count anew."""
    messages: dict[str, int]
    """PacketIns, by the name of the counter."""


def read_overflow(rundir: str) -> Overflow:
    """Ask; takes `PATIENCE` seconds at most.

    Raises SwitchError where it is not there, may not be asked, or answers something else.
    """
    deadline = until(PATIENCE)
    process, control = find(rundir)
    with closing(Connection(control, deadline=deadline, size=_ANSWER_SIZE)) as connection:
        answers = {
            name: connection.request("coverage/read-counter", [name], deadline) for name in CAUSES
        }
    return Overflow(process, {name: _number(name, told) for name, told in answers.items()})


def _number(name: str, told: object) -> int:
    text = str(told).strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= 20):
        raise SwitchError(f"{name}: got {printable(text)[:80]!r} for a number")
    return int(text)
