"""The source `ovsdb`: the database of Open vSwitch, whose changes are followed. Only ever read."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from ryu_droplog.concurrency.backoff import Backoff
from ryu_droplog.config.settings import IDENTITY_DEFAULTS
from ryu_droplog.identity import bridge_ports
from ryu_droplog.identity.base import IdentitySource, SourceContext
from ryu_droplog.identity.bridge_ports import TABLES, Rows
from ryu_droplog.identity.statement import Statement
from ryu_droplog.model.errors import SwitchError
from ryu_droplog.ovsdb.client import OPEN_VSWITCH
from ryu_droplog.ovsdb.jsonrpc import PATIENCE, until

if TYPE_CHECKING:
    from ryu_droplog.ovsdb.follower import Change, Follower

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds until a database that cannot be read is tried again."""
PACE = 0.1
"""Seconds between two changes at least that are told at once; what comes meanwhile is told by the
next look, so that a host whose ports all come at once costs little."""
SIZE = 32 * 1024 * 1024
"""Bytes of all rows, or of a change: some ten thousand interfaces."""


class _Database:
    """One database, over all its connections."""

    def __init__(self, rundir: str) -> None:
        self.path = f"{rundir}/db.sock"
        self.rows = Rows()
        """What it said last; it stays while nobody answers."""
        self.follower: Follower | None = None
        self.backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        self.not_before = 0.0
        self.trouble = ""


class Ovsdb(IdentitySource):
    """The database of Open vSwitch on this host: ports, their external_ids, networks and VLANs."""

    name = bridge_ports.NAME
    KEY = Annotated[
        bool,
        Field(
            description="`true`: in the database of Open vSwitch, for bridges of this host: names"
            " of ports, what Nova, Neutron, libvirt and CNI plug-ins set in `external_ids`, VLANs"
        ),
    ]
    DEFAULT = IDENTITY_DEFAULTS["ovsdb"]
    IN_HUB: ClassVar[bool] = True

    def __init__(self, place: Any, context: SourceContext) -> None:
        super().__init__(place, context)
        self._databases = [_Database(rundir) for rundir in context.rundirs]
        self._gathering = context.threads.Lock()
        self._changed = False
        self._told = -PACE

    def look(self) -> None:
        """Follow each database that is not followed, and tell what has not been told yet."""
        for database in self._databases if not self._ended.is_set() else ():
            follower = database.follower
            if follower is None or follower.ended:
                self._follow(database)
        with self._gathering:
            if self._changed:
                self._gather()
        self.trouble = "; ".join(filter(None, (each.trouble for each in self._databases)))

    def close(self) -> None:
        """Follow nothing any more."""
        super().close()
        for database in self._databases:
            if database.follower is not None:
                database.follower.close()

    def _follow(self, database: _Database) -> None:
        if database.follower is not None and not database.trouble:
            database.trouble = database.follower.ended
        if time.monotonic() < database.not_before:
            return
        from ryu_droplog.ovsdb.follower import Follower  # with os-ken, which checks need not load

        rows = Rows()
        try:
            database.follower = Follower(
                database.path,
                OPEN_VSWITCH,
                None,
                TABLES,
                partial(self._take, database, rows),
                deadline=until(PATIENCE),
                size=SIZE,
                initial=True,
            )
        except SwitchError as error:
            database.not_before = time.monotonic() + database.backoff.failed()
            database.trouble = str(error)
            return
        database.backoff.reset()
        database.trouble = ""
        if self._ended.is_set():
            database.follower.close()

    def _take(
        self, database: _Database, rows: Rows, changes: Mapping[str, Sequence[Change]]
    ) -> None:
        """Take changes of these rows: of a new connection, the first are all that is there."""
        with self._gathering:
            for changed in changes.values():
                for uuid, row in changed:
                    rows.take(uuid, row)
            database.rows = rows
            self._changed = True
            if time.monotonic() >= self._told + PACE:
                self._gather()

    def _gather(self) -> None:
        """Tell what all databases say."""
        self._changed, self._told = False, time.monotonic()
        statements: dict[Any, Statement] = {}
        domains: dict[str, int] = {}
        for number, each in enumerate(self._databases):
            said = each.rows.statements()
            statements |= {(number, uuid): statement for uuid, statement in said.items()}
            beyond = len(domains)
            domains |= {name: beyond + part for name, part in each.rows.domains().items()}
        self.tell(statements, domains)
