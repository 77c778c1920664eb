"""Where drops happen, in words: one `Location` for all drops of a bridge's table and reason."""

from __future__ import annotations

from collections.abc import Mapping

from ryu_droplog.model.accounting import Ledger
from ryu_droplog.model.drop import DropFlow, Explainer, Location
from ryu_droplog.owners.opflex_names import NO_NAMES, OpflexNames
from ryu_droplog.packet.packet_in import DropRecord
from ryu_droplog.pipelines.loader import Pipeline
from ryu_droplog.text.printable import word

REASONS = {0: "MISS", 1: "DENY", 2: "PERMIT"}
"""Capture reasons, as the OpFlex agent records them in tun_metadata13."""
TABLES = 256
"""Numbers that a table can have, and that a bridge has for its books."""
LOCATIONS = 10_000
"""Locations of a bridge that are held at most; past that they are made anew."""


class Locations:
    """The locations of one bridge, made when they are first asked for."""

    def __init__(
        self,
        bridge: str,
        prefix: str | None,
        pipeline: Pipeline,
        ledger: Ledger,
        first_book: int | None = None,
    ) -> None:
        """`prefix` is the bridge's own, or None: the pipeline's.

        Where several bridges share a ledger, `first_book` is the number of the book of this one's
        table 0, and the books' names have the prefix, too.
        """
        self._bridge = bridge
        self._prefix = prefix
        self._pipeline = pipeline
        self._ledger = ledger
        self._first_book = first_book
        self._explain: Explainer | None = None
        self._names: Mapping[int, str] = {}
        self._opflex_names = NO_NAMES
        self._locations: dict[tuple[int, str, str, str], Location] = {}

    @property
    def kept(self) -> int:
        """Locations that are remembered; `LOCATIONS` at most."""
        return len(self._locations)

    def learn_names(self, names: Mapping[int, str]) -> None:
        """Take the table names that the bridge itself has; the pipeline's go first."""
        self._names = dict(names)
        self._locations = {}

    def learn_pipeline(self, pipeline: Pipeline, explain: Explainer | None) -> None:
        """Take another pipeline, and what explains its drops."""
        self._pipeline, self._explain = pipeline, explain
        self._locations = {}

    def learn_prefix(self, prefix: str | None) -> None:
        """Take another prefix of the bridge's own, or None."""
        self._prefix = prefix
        self._locations = {}

    def learn_opflex_names(self, names: OpflexNames) -> None:
        """Take what the OpFlex agent calls its policies and groups."""
        self._opflex_names = names
        self._locations = {}

    def recorded(self, record: DropRecord, drop_table: int) -> Location:
        """Of a drop that the OpFlex agent's flows recorded on its way to `drop_table`."""
        table_id = drop_table if record.table_id is None else record.table_id
        reason = REASONS.get(record.reason or 0, "MISS")
        policy = (
            self._opflex_names.policy(record.policy) if record.policy and reason != "MISS" else ""
        )
        tenants = self._opflex_names.tenants_text(record.source_group, record.destination_group)
        return self._location(
            table_id if table_id < TABLES else drop_table, reason, policy, tenants
        )

    def of_table(self, table_id: int, reason: str) -> Location:
        """Of a drop in a table, 0 to 255."""
        return self._location(table_id, reason, "", self._opflex_names.tenants_text(0, 0))

    def explicit(self, table_id: int, drop: DropFlow) -> Location:
        """Of an explicit drop: by stage and ACL where the owner has names for these."""
        where = self.of_table(table_id, "DENY")
        name = word(drop.names.get("stage") or where.table)
        acl = word(drop.names.get("acl") or "")
        label = f"{self._own_prefix()}{name} DENY{f' {acl}' if acl else ''}"
        return where._replace(table=name, label=label, flow=drop)

    def _location(self, table_id: int, reason: str, policy: str, tenants: str) -> Location:
        key = table_id, reason, policy, tenants
        location = self._locations.get(key)
        if location is None:
            if len(self._locations) >= LOCATIONS:
                self._locations.clear()
            name = self._pipeline.table_name(table_id, self._names)
            shown = f"{self._own_prefix()}{name}"
            if self._first_book is None:
                book = self._ledger.book(table_id, name)
            else:
                book = self._ledger.book(self._first_book + table_id, shown)
            location = self._locations[key] = Location(
                bridge=self._bridge,
                table_id=table_id,
                table=name,
                reason=reason,
                label=f"{shown} {reason}{f' {policy}' if policy else ''}",
                book=book,
                tenants=tenants,
                named=table_id in self._pipeline.tables or table_id in self._names,
                explain=self._explain,
            )
        return location

    def _own_prefix(self) -> str:
        return self._pipeline.prefix if self._prefix is None else self._prefix
