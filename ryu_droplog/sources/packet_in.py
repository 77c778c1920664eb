"""Which of our flows a PacketIn came from: so, which table dropped the packet."""

from __future__ import annotations

from collections.abc import Mapping

from ryu_droplog.model import cookie
from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.model.drop import Arrival
from ryu_droplog.model.location import DropFlow, Location
from ryu_droplog.owners.opflex_names import OpflexNames
from ryu_droplog.packet.packet_in import PacketIn, drop_record, parse
from ryu_droplog.pipelines.loader import Pipeline
from ryu_droplog.sources.locations import Locations


class PacketInReader:
    """Names the drops of one bridge.

    Holds as many locations as `Locations`, and one for each explicit drop that is logged now.
    """

    def __init__(
        self,
        bridge: str,
        prefix: str | None,
        pipeline: Pipeline,
        generation: int,
        books: SourceBooks,
    ) -> None:
        """`prefix` is the bridge's own, or None: the pipeline's.

        `generation` is this run's; packet-ins from flows of other runs are not ours to log.
        """
        self._locations = Locations(bridge, bridge, prefix, pipeline, books)
        self._generation = generation
        self._by_cookie: dict[int, Location] = {}
        self._drops: Mapping[tuple[int, int], DropFlow] = {}
        self._last_drops: Mapping[tuple[int, int], DropFlow] = {}
        self._rewritten: Mapping[int, DropFlow] = {}
        self._last_rewritten: Mapping[int, DropFlow] = {}

    @property
    def locations(self) -> int:
        """Locations that are remembered; `locations.LOCATIONS` at most."""
        return self._locations.kept

    def learn_names(self, names: Mapping[int, str]) -> None:
        """Take the table names that the bridge itself has; the pipeline's go first."""
        self._locations.learn_names(names)
        self._by_cookie = {}

    def learn_pipeline(self, pipeline: Pipeline) -> None:
        """Take another pipeline."""
        self._locations.learn_pipeline(pipeline)
        self._by_cookie = {}

    def learn_prefix(self, prefix: str | None) -> None:
        """Take another prefix of the bridge's own, or None: the pipeline's."""
        self._locations.learn_prefix(prefix)
        self._by_cookie = {}

    def learn_opflex_names(self, names: OpflexNames) -> None:
        """Take what the OpFlex agent calls its policies and groups."""
        self._locations.learn_opflex_names(names)
        self._by_cookie = {}

    def learn_drops(
        self, drops: Mapping[tuple[int, int], DropFlow], rewritten: Mapping[int, DropFlow]
    ) -> None:
        """Take what our flows are above, by table and slot, and the owner's flows that tell us.

        The latter by their cookies, which are their own. What was learnt before is kept once more:
        packets may be on their way.
        """
        self._drops = {**self._last_drops, **drops}
        self._rewritten = {**self._last_rewritten, **rewritten}
        self._last_drops, self._last_rewritten = drops, rewritten
        self._by_cookie = {}

    def read(self, message: bytes) -> Arrival | None:
        """Take a PacketIn apart; None when no flow of this run sent it.

        :raises MalformedMessage: as `packet_in.parse`
        """
        packet_in = parse(message)
        location = self.location(packet_in)
        return None if location is None else (location, packet_in.metadata, packet_in.frame)

    def location(self, packet_in: PacketIn) -> Location | None:
        """Where the packet was dropped; None when it is not one of our flows that sent it."""
        location = self._by_cookie.get(packet_in.cookie)
        if location is not None:
            return location
        rewritten_flow = self._rewritten.get(packet_in.cookie)
        parts = cookie.unpack(packet_in.cookie)
        locations = self._locations
        if rewritten_flow is not None:
            location = locations.explicit(packet_in.table_id, rewritten_flow)
        elif parts is None or not cookie.of_run(packet_in.cookie, self._generation):
            return None
        elif not parts.table_drop:
            # On a bridge that the OpFlex agent manages, its own flows recorded the table.
            return locations.recorded(drop_record(packet_in.metadata), parts.table_id)
        else:
            drop = self._drops.get((parts.table_id, parts.slot)) if parts.slot else None
            if drop is not None:
                location = locations.explicit(parts.table_id, drop)
            else:
                location = locations.of_table(parts.table_id, "MISS")
        self._by_cookie[packet_in.cookie] = location
        return location
