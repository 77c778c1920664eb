"""Location: where a drop happened, and by which flow. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from msgspec import Struct

TableKey = tuple[str, int]
"""A table in the books: the name of the source, and the number of the table's book there."""
NO_TABLE: TableKey = ("", -1)
"""Of drops that an earlier run has left in a spool: they are in no table's book of this run."""


class DropFlow(NamedTuple):
    """A flow of the bridge's owner that drops, and what the owner calls it."""

    cookie: int
    """64 bits."""
    priority: int
    """0 to 65535."""
    match: str
    """As `ovs-ofctl dump-flows` shows it; empty for a catch-all."""
    names: Mapping[str, str] = MappingProxyType({})
    """In the owner's words: for OVN `datapath`, `stage`, `acl`. Empty where nothing is known."""


class Location(Struct, frozen=True, eq=False):
    """Where a drop happened, shared by its drops and compared by identity.

    One object for each (bridge, table, reason), and one for each explicit drop that is logged; when
    a name changes, new objects take the place of the old ones.
    """

    key: TableKey
    """Where the table's drops are counted."""
    bridge: str
    """Name of the bridge, as Open vSwitch knows it."""
    table_id: int
    """OpenFlow table number, 0 to 254."""
    table: str
    """Name of the table in its pipeline, or `TABLE_<id>`."""
    reason: str
    """`MISS`, `DENY` or `PERMIT`."""
    prefix: str = ""
    """Stands before the table's name in a drop line."""
    policy: str = ""
    """Name of the policy, rule or ACL that decided, in the owner's words; empty: not known."""
    source_tenant: str | None = None
    """Tenant of the sender; None where tenants are not asked for, empty where it is not known."""
    destination_tenant: str | None = None
    """Tenant of the receiver, as `source_tenant`."""
    named: bool = True
    """False when neither the pipeline nor the bridge has a name for the table."""
    flow: DropFlow | None = None
    """The owner's flow that dropped the packet; None: nothing matched, or a catch-all dropped."""
    pipeline: str = ""
    """Name of the bridge's pipeline."""
    cause: str = ""
    """Probable cause of a drop in the table, as the pipeline has it; empty: nobody wrote one."""

    @property
    def drop_reason(self) -> str:
        """Table and reason as a drop line shows them: `Acc-SEC_GROUP_IN_TABLE MISS`."""
        policy = f" {self.policy}" if self.policy else ""
        return f"{self.prefix}{self.table} {self.reason}{policy}"
