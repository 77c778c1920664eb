"""Where OVN's southbound database is, and how any of its servers is asked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from msgspec import Struct

from ryu_droplog.model.errors import SwitchError
from ryu_droplog.ovsdb.client import Client, Map, Select
from ryu_droplog.ovsdb.jsonrpc import Credentials, until

LOG = logging.getLogger(__name__)

LOOK_TIME = 20.0
"""Seconds that a look may take in all, whatever the servers do."""
SERVER_TIME = 10.0
"""Seconds of them that one server has for an answer, before the next of its cluster is asked."""
ANSWER_SIZE = 16 * 1024 * 1024
"""Bytes of an answer: 30,000 logical flows of 500 bytes. An answer is in memory ten times over
while it is read, and reading it takes half a second of a core."""
DATABASE = "OVN_Southbound"

T = TypeVar("T")


class _System(Struct):
    """A row of Open_vSwitch."""

    external_ids: Map


class _Tls(Struct):
    """A row of SSL."""

    private_key: str
    certificate: str
    ca_cert: str


class Remotes(NamedTuple):
    """The members of the database's cluster, and what this host shows them."""

    addresses: tuple[str, ...]
    """As `jsonrpc.call` takes them."""
    credentials: Credentials | None


def find_southbound(rundir: str) -> Remotes:
    """Where ovn-controller of this host finds its southbound database, and what it shows there.

    Read from the database of Open vSwitch (ovn-controller(8), external_ids:ovn-remote and the SSL
    table). Raises SwitchError when that cannot be read or names none.
    """
    selects: list[Select[Any]] = [Select("Open_vSwitch", _System), Select("SSL", _Tls)]
    system, tls = Client(f"{rundir}/db.sock").select_all(selects)
    ids = dict(pair for row in system for pair in row.external_ids[1])
    remotes = ids.get(f"ovn-remote-{ids.get('system-id')}") or ids.get("ovn-remote")
    if not remotes:
        raise SwitchError("external_ids:ovn-remote of Open_vSwitch names no southbound database")
    credentials = None
    for row in tls:
        credentials = Credentials(row.private_key, row.certificate, row.ca_cert)
    return Remotes(tuple(remote.strip() for remote in remotes.split(",")), credentials)


class Servers:
    """The members of the cluster, for one look: any of them may be read."""

    def __init__(self, remotes: Remotes) -> None:
        self._remotes = remotes
        self._deadline = until(LOOK_TIME)

    def select_all(self, selects: Sequence[Select[Any]]) -> list[list[Any]]:
        """The rows of each, as of one moment, from the first server that answers.

        Raises SwitchError, the last one's.
        """

        def ask(address: str, deadline: float) -> list[list[Any]]:
            client = Client(
                address,
                DATABASE,
                self._remotes.credentials,
                deadline=deadline,
                size=ANSWER_SIZE,
            )
            return client.select_all(selects)

        return self.first(ask) if selects else []

    def first(self, ask: Callable[[str, float], T]) -> T:
        """What the first server gives that can be asked, by its address and a deadline."""
        failure = SwitchError("external_ids:ovn-remote names no server")
        for address in self._remotes.addresses:
            try:
                return ask(address, min(self._deadline, until(SERVER_TIME)))
            except SwitchError as error:
                LOG.debug("%s", error)
                failure = error
        raise failure
