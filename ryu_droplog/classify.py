"""Which table dropped a packet, and how the line says so."""

from __future__ import annotations

from collections.abc import Mapping

from ryu_droplog import cookie
from ryu_droplog.drop import DropFlow, Explainer, Origin
from ryu_droplog.ledger import Ledger
from ryu_droplog.packet.packetin import PacketIn, drop_record
from ryu_droplog.pipelines import Pipeline

REASONS = {0: "MISS", 1: "DENY", 2: "PERMIT"}
"""Capture reasons, as the OpFlex agent records them in tun_metadata13."""


class Classifier:
    """Names the drops of one bridge.

    Holds one `Origin` for each table and reason, and one for each explicit drop that is logged; so
    a bounded number: 256 tables, 3 reasons, and as many explicit drops as are logged at once.
    """

    def __init__(
        self,
        bridge: str,
        prefix: str | None,
        pipeline: Pipeline,
        generation: int,
        ledger: Ledger,
    ) -> None:
        """`prefix` is the bridge's own, or None: the pipeline's.

        `generation` is this run's; packet-ins from flows of other runs are not ours to log.
        """
        self._bridge = bridge
        self._prefix = prefix
        self._pipeline = pipeline
        self._explain: Explainer | None = None
        self._generation = generation
        self._ledger = ledger
        self._names: Mapping[int, str] = {}
        self._by_cookie: dict[int, Origin] = {}
        self._origins: dict[tuple[int, str], Origin] = {}
        self._drops: Mapping[tuple[int, int], DropFlow] = {}
        self._last_drops: Mapping[tuple[int, int], DropFlow] = {}
        self._tellers: Mapping[int, DropFlow] = {}
        self._last_tellers: Mapping[int, DropFlow] = {}

    def learn_names(self, names: Mapping[int, str]) -> None:
        """Take the table names that the bridge itself has; the pipeline's go first."""
        self._names = dict(names)
        self._forget_origins()

    def learn_pipeline(self, pipeline: Pipeline, explain: Explainer | None) -> None:
        """Take another pipeline, and what explains its drops."""
        self._pipeline, self._explain = pipeline, explain
        self._forget_origins()

    def learn_drops(
        self, drops: Mapping[tuple[int, int], DropFlow], tellers: Mapping[int, DropFlow]
    ) -> None:
        """Take what our flows are above, by table and slot, and the owner's flows that tell us.

        The latter by their cookies, which are their own. What was learnt before is kept once more:
        packets may be on their way.
        """
        self._drops = {**self._last_drops, **drops}
        self._tellers = {**self._last_tellers, **tellers}
        self._last_drops, self._last_tellers = drops, tellers
        self._forget_origins()

    def _forget_origins(self) -> None:
        self._by_cookie = {}
        self._origins = {}

    def origin(self, packet_in: PacketIn) -> Origin | None:
        """Where the packet was dropped; None when it is not one of our flows that sent it."""
        origin = self._by_cookie.get(packet_in.cookie)
        if origin is not None:
            return origin
        teller = self._tellers.get(packet_in.cookie)
        parts = cookie.unpack(packet_in.cookie)
        if teller is not None:
            origin = self._denied(packet_in.table_id, teller)
        elif parts is None or not cookie.of_run(packet_in.cookie, self._generation):
            return None
        elif not parts.table_drop:
            return self._recorded(parts.table_id, packet_in.metadata)
        elif parts.slot:
            drop = self._drops.get((parts.table_id, parts.slot))
            origin = self._denied(parts.table_id, drop) if drop else None
        origin = origin or self._origin(parts.table_id if parts else packet_in.table_id, "MISS")
        self._by_cookie[packet_in.cookie] = origin
        return origin

    def _recorded(self, drop_table: int, metadata: bytes) -> Origin:
        """On a bridge that the OpFlex agent manages, its own flows recorded the table."""
        table_id, reason = drop_record(metadata)
        where = drop_table if table_id is None or table_id > 255 else table_id
        return self._origin(where, REASONS.get(reason or 0, "MISS"))

    def _denied(self, table_id: int, drop: DropFlow) -> Origin:
        """Where an explicit drop is: by stage and ACL where the owner has names for these."""
        where = self._origin(table_id, "DENY")
        name = drop.names.get("stage") or where.table
        acl = drop.names.get("acl")
        label = f"{self._own_prefix()}{name} DENY{f' {acl}' if acl else ''}"
        return where._replace(table=name, label=label, flow=drop)

    def _origin(self, table_id: int, reason: str) -> Origin:
        origin = self._origins.get((table_id, reason))
        if origin is None:
            named = table_id in self._pipeline.tables or table_id in self._names
            name = self._pipeline.table_name(table_id, self._names)
            label = f"{self._own_prefix()}{name} {reason}"
            book = self._ledger.book(table_id, name)
            origin = Origin(self._bridge, table_id, name, reason, label, book, named, self._explain)
            self._origins[table_id, reason] = origin
        return origin

    def _own_prefix(self) -> str:
        return self._pipeline.prefix if self._prefix is None else self._prefix
