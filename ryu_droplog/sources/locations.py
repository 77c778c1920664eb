"""Where drops happen, in words: one `Location` for all drops of a bridge's table and reason."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.model.location import DropFlow, Location
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
        source: str,
        bridge: str,
        prefix: str | None,
        pipeline: Pipeline,
        books: SourceBooks,
        first_book: int | None = None,
    ) -> None:
        """`prefix` is the bridge's own, or None: the pipeline's; `source` has the `books`.

        Where several bridges share the books, `first_book` is the number of the book of this one's
        table 0, and the books' names have the prefix, too.
        """
        self._source = source
        self._bridge = bridge
        self._prefix = prefix
        self._pipeline = pipeline
        self._books = books
        self._first_book = first_book
        self._names: Mapping[int, str] = {}
        self._opflex_names = NO_NAMES
        self._locations: dict[tuple[int, str, str, str | None, str | None], Location] = {}

    @property
    def kept(self) -> int:
        """Locations that are remembered; `LOCATIONS` at most."""
        return len(self._locations)

    def learn_names(self, names: Mapping[int, str]) -> None:
        """Take the table names that the bridge itself has; the pipeline's go first."""
        self._names = dict(names)
        self._locations = {}

    def learn_pipeline(self, pipeline: Pipeline) -> None:
        """Take another pipeline."""
        self._pipeline = pipeline
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
        names = self._opflex_names
        policy = names.policy(record.policy) if record.policy and reason != "MISS" else ""
        return self._location(
            table_id if table_id < TABLES else drop_table,
            reason,
            policy,
            names.tenant(record.source_group),
            names.tenant(record.destination_group),
        )

    def of_table(self, table_id: int, reason: str) -> Location:
        """Of a drop in a table, 0 to 255."""
        nobody = self._opflex_names.tenant(0)
        return self._location(table_id, reason, "", nobody, nobody)

    def explicit(self, table_id: int, drop: DropFlow) -> Location:
        """Of an explicit drop: by stage and ACL where the owner has names for these."""
        where = self.of_table(table_id, "DENY")
        stage, acl = drop.names.get("stage") or where.table, drop.names.get("acl") or ""
        return replace(where, table=word(stage), policy=word(acl), flow=drop)

    def _location(
        self,
        table_id: int,
        reason: str,
        policy: str,
        source_tenant: str | None,
        destination_tenant: str | None,
    ) -> Location:
        key = table_id, reason, policy, source_tenant, destination_tenant
        location = self._locations.get(key)
        if location is None:
            if len(self._locations) >= LOCATIONS:
                self._locations.clear()
            name, prefix = self._pipeline.table_name(table_id, self._names), self._own_prefix()
            book = table_id + (self._first_book or 0)
            self._books.book(book, name if self._first_book is None else f"{prefix}{name}")
            table = self._pipeline.tables.get(table_id)
            location = self._locations[key] = Location(
                (self._source, book),
                self._bridge,
                table_id,
                name,
                reason,
                prefix,
                policy,
                source_tenant,
                destination_tenant,
                named=table is not None or table_id in self._names,
                pipeline=self._pipeline.name,
                cause=table.cause if table is not None else "",
            )
        return location

    def _own_prefix(self) -> str:
        return self._pipeline.prefix if self._prefix is None else self._prefix
