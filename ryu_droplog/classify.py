"""Which table dropped a packet, and how the line says so."""

from __future__ import annotations

from collections.abc import Mapping

from ryu_droplog import cookie
from ryu_droplog.drop import Origin
from ryu_droplog.ledger import Ledger
from ryu_droplog.packet.packetin import PacketIn, drop_record
from ryu_droplog.pipelines import Pipeline

REASONS = {0: "MISS", 1: "DENY", 2: "PERMIT"}
"""Capture reasons, as the OpFlex agent records them in tun_metadata13."""


class Classifier:
    """Names the drops of one bridge.

    Holds one `Origin` for each table and reason, so a bounded number: 256 tables, 3 reasons.
    """

    def __init__(
        self, bridge: str, prefix: str, pipeline: Pipeline, generation: int, ledger: Ledger
    ) -> None:
        """`generation` is this run's; packet-ins from flows of other runs are not ours to log."""
        self._bridge = bridge
        self._prefix = prefix
        self._pipeline = pipeline
        self._generation = generation
        self._ledger = ledger
        self._names: Mapping[int, str] = {}
        self._by_cookie: dict[int, Origin] = {}
        self._origins: dict[tuple[int, str], Origin] = {}

    def learn_names(self, names: Mapping[int, str]) -> None:
        """Take the table names that the bridge itself has; the pipeline's go first."""
        self._names = dict(names)
        self._by_cookie.clear()
        self._origins.clear()

    def origin(self, packet_in: PacketIn) -> Origin | None:
        """Where the packet was dropped; None when it is not one of our flows that sent it."""
        origin = self._by_cookie.get(packet_in.cookie)
        if origin is not None:
            return origin
        parts = cookie.unpack(packet_in.cookie)
        if parts is None or not cookie.of_run(packet_in.cookie, self._generation):
            return None
        if not parts.table_drop:
            return self._recorded(parts.table_id, packet_in.metadata)
        origin = self._origin(parts.table_id, "MISS")
        self._by_cookie[packet_in.cookie] = origin
        return origin

    def _recorded(self, drop_table: int, metadata: bytes) -> Origin:
        """On a bridge that the OpFlex agent manages, its own flows recorded the table."""
        table_id, reason = drop_record(metadata)
        where = drop_table if table_id is None or table_id > 255 else table_id
        return self._origin(where, REASONS.get(reason or 0, "MISS"))

    def _origin(self, table_id: int, reason: str) -> Origin:
        origin = self._origins.get((table_id, reason))
        if origin is None:
            named = table_id in self._pipeline.tables or table_id in self._names
            name = self._pipeline.table_name(table_id, self._names)
            label = f"{self._prefix}{name} {reason}"
            book = self._ledger.book(table_id, name)
            origin = Origin(self._bridge, table_id, name, reason, label, book, named)
            self._origins[table_id, reason] = origin
        return origin
