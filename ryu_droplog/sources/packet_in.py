"""Which of our flows a PacketIn came from: so, which table dropped the packet."""

from __future__ import annotations

from collections.abc import Mapping

from ryu_droplog.model import cookie
from ryu_droplog.model.accounting import Ledger
from ryu_droplog.model.drop import Arrival, DropFlow, Explainer, Origin
from ryu_droplog.owners.opflex_names import Words
from ryu_droplog.packet.packet_in import PacketIn, drop_record, parse
from ryu_droplog.pipelines.loader import Pipeline
from ryu_droplog.sources.locations import Origins


class Classifier:
    """Names the drops of one bridge.

    Holds as many origins as `Origins`, and one for each explicit drop that is logged at the time.
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
        self._origins = Origins(bridge, prefix, pipeline, ledger)
        self._generation = generation
        self._by_cookie: dict[int, Origin] = {}
        self._drops: Mapping[tuple[int, int], DropFlow] = {}
        self._last_drops: Mapping[tuple[int, int], DropFlow] = {}
        self._tellers: Mapping[int, DropFlow] = {}
        self._last_tellers: Mapping[int, DropFlow] = {}

    def learn_names(self, names: Mapping[int, str]) -> None:
        """Take the table names that the bridge itself has; the pipeline's go first."""
        self._origins.learn_names(names)
        self._by_cookie = {}

    def learn_pipeline(self, pipeline: Pipeline, explain: Explainer | None) -> None:
        """Take another pipeline, and what explains its drops."""
        self._origins.learn_pipeline(pipeline, explain)
        self._by_cookie = {}

    def learn_prefix(self, prefix: str | None) -> None:
        """Take another prefix of the bridge's own, or None: the pipeline's."""
        self._origins.learn_prefix(prefix)
        self._by_cookie = {}

    def learn_words(self, words: Words) -> None:
        """Take what the OpFlex agent calls its policies and groups."""
        self._origins.learn_words(words)
        self._by_cookie = {}

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
        self._by_cookie = {}

    def read(self, message: bytes) -> Arrival | None:
        """Take a PacketIn apart; None when no flow of this run sent it.

        :raises MalformedMessage: as `packet_in.parse`
        """
        packet_in = parse(message)
        origin = self.origin(packet_in)
        return None if origin is None else (origin, packet_in.metadata, packet_in.frame)

    def origin(self, packet_in: PacketIn) -> Origin | None:
        """Where the packet was dropped; None when it is not one of our flows that sent it."""
        origin = self._by_cookie.get(packet_in.cookie)
        if origin is not None:
            return origin
        teller = self._tellers.get(packet_in.cookie)
        parts = cookie.unpack(packet_in.cookie)
        origins = self._origins
        if teller is not None:
            origin = origins.explicit(packet_in.table_id, teller)
        elif parts is None or not cookie.of_run(packet_in.cookie, self._generation):
            return None
        elif not parts.table_drop:
            # On a bridge that the OpFlex agent manages, its own flows recorded the table.
            return origins.recorded(drop_record(packet_in.metadata), parts.table_id)
        else:
            drop = self._drops.get((parts.table_id, parts.slot)) if parts.slot else None
            if drop is not None:
                origin = origins.explicit(parts.table_id, drop)
            else:
                origin = origins.of_table(parts.table_id, "MISS")
        self._by_cookie[packet_in.cookie] = origin
        return origin
