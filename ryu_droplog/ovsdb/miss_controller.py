"""Whether a bridge asks a controller of its own about packets that no flow matches.

It does while a controller of OpenFlow 1.0 to 1.2 is connected (connmgr_wants_packet_in_on_miss,
ofproto/connmgr.c). A miss flow of ours would keep those packets from it. OpenFlow 1.3 cannot see
this, but the database names the controllers, and `ofproto/trace` (ovs-vswitchd(8)) says what is
done with a packet that no flow wants. Both are only read.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

from msgspec import Struct

from ryu_droplog.concurrency.background_question import BackgroundQuestion
from ryu_droplog.config.endpoint import Endpoint, rundir_of
from ryu_droplog.model.errors import SwitchError
from ryu_droplog.ovsdb.client import Client, NoValue, References, Select, references
from ryu_droplog.ovsdb.control_socket import find
from ryu_droplog.ovsdb.jsonrpc import PATIENCE, call, until

LOG = logging.getLogger(__name__)

STATUS_TIME = 6.0
"""Seconds after which `is_connected` in the database is true: it is written every 5 s."""

# EtherType 0x88b5 is for local experiments (IEEE 802, section 9.2.4): no flow should ask for it.
_NOBODYS = "dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02,dl_type=0x88b5"
_CALLED_FOR = 'a "packet-in" is called for'

ASK_AGAIN = 7.0
"""Seconds until a bridge whose controller is asked on a miss is looked at again."""


class _Bridge(Struct):
    """A row of Bridge."""

    controller: References


class _Controller(Struct):
    """A row of Controller."""

    type: str | NoValue
    is_connected: bool


class MissQuestion:
    """Asks about one bridge, as often as a plan is made."""

    def __init__(
        self, rundir: str, bridge: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`rundir` is the run directory of Open vSwitch."""
        self._rundir = rundir
        self._bridge = bridge
        self._clock = clock
        self._unsure_since: float | None = None

    def __call__(self) -> bool:
        """Whether a miss goes to a controller; False where the daemons cannot be asked.

        Takes `PATIENCE` seconds at most: whoever makes a plan, or ends, waits for it.

        A controller that is away looks to the trace like one of OpenFlow 1.0. Whether it is away,
        the database knows some seconds late: until then the answer is True.
        """
        try:
            deadline = until(PATIENCE)
            controllers = self._controllers(deadline)
            asks = bool(controllers) and self._packet_in_is_called_for(deadline)
        except (OSError, ValueError, SwitchError) as error:
            LOG.debug("%s: cannot be asked about misses: %s", self._bridge, error)
            return False
        if not asks:
            self._unsure_since = None
            return False
        if any(controller.is_connected for controller in controllers):
            return True
        now = self._clock()
        if self._unsure_since is None:
            self._unsure_since = now
        return now - self._unsure_since < STATUS_TIME

    def _controllers(self, deadline: float) -> list[_Controller]:
        """The bridge's primary controllers."""
        database = Client(f"{self._rundir}/db.sock", deadline=deadline)
        bridges = database.select(Select("Bridge", _Bridge, [("name", "==", self._bridge)]))
        uuids = [uuid for row in bridges for uuid in references(row.controller)]
        selects = [
            Select("Controller", _Controller, [("_uuid", "==", ("uuid", uuid))]) for uuid in uuids
        ]
        found = [row for rows in database.select_all(selects) for row in rows]
        return [controller for controller in found if controller.type != "service"]

    def _packet_in_is_called_for(self, deadline: float) -> bool:
        control = find(self._rundir).socket
        trace = [self._bridge, _NOBODYS]
        return _CALLED_FOR in str(call(control, "ofproto/trace", trace, deadline=deadline))


class MissAnswer:
    """The answer to a miss question as it was last given, for plans that do not wait for it.

    It is as old as the last plan or renewal, and the time that an answer takes. When it is another
    one than before, that is told.
    """

    def __init__(
        self,
        question: Callable[[], bool],
        changed: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`changed` is called in another thread."""
        self._question = question
        self._changed = changed
        self._clock = clock
        self._background = BackgroundQuestion(self._ask_aside)
        self._asked = -math.inf
        self.asks = False
        """Whether a miss goes to a controller."""

    def ask_now(self) -> None:
        """Wait for an answer; some seconds where the daemons are slow."""
        self._asked = self._clock()
        self.asks = self._question()

    def ask(self) -> None:
        """Have it asked again; never blocks."""
        self._asked = self._clock()
        self._background.ask()

    def stop(self) -> None:
        """Ask nothing more."""
        self._background.stop()

    def due(self) -> float:
        """When to ask again although no plan is made."""
        return self._asked + ASK_AGAIN if self.asks else math.inf

    def _ask_aside(self) -> None:
        before, self.asks = self.asks, self._question()
        if self.asks is not before:
            self._changed()


def miss_question(bridge: str, endpoint: Endpoint) -> Callable[[], bool]:
    """The question about a bridge that is reached so; of one that is elsewhere, nobody can tell."""
    rundir = rundir_of(endpoint)
    return MissQuestion(rundir, bridge) if rundir else lambda: False
