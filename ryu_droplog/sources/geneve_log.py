"""Drops that the OpFlex agent's switch reports by itself, in Geneve datagrams: named from these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.model.drop import Arrival
from ryu_droplog.model.location import Location
from ryu_droplog.owners.base import Names
from ryu_droplog.owners.detection import owner_named
from ryu_droplog.owners.explanations import Explanations
from ryu_droplog.owners.opflex_names import NO_NAMES, OpflexNames
from ryu_droplog.packet import geneve
from ryu_droplog.packet.packet_in import drop_record
from ryu_droplog.pipelines.loader import Pipeline
from ryu_droplog.sources.locations import TABLES, Locations

OWNER = "opflex"
"""Whose header this is: the owner that explains what it tells."""
HEADERS = 16_384
"""Headers whose meaning is remembered at most; past that all are read anew."""
VNIS = {1: "opflex-int", 2: "opflex-access"}
"""The pipeline of the bridge that a VNI stands for."""
DEFAULT_BRIDGES = {"opflex-int": "br-int", "opflex-access": "br-access"}
"""What these bridges are called where the configuration does not say it."""
OTHER = 0
"""Stands for all other VNIs: their tables have no names."""


class Sender(NamedTuple):
    """A bridge that reports drops."""

    bridge: str
    prefix: str | None
    """Its own, or None: the pipeline's."""
    pipeline: Pipeline


class GeneveLogReader:
    """Reads the datagrams of one source; its books have one for each bridge and table."""

    def __init__(
        self,
        source: str,
        senders: Mapping[int, Sender],
        books: SourceBooks,
        explanations: Explanations | None = None,
    ) -> None:
        """`senders` by VNI, and by `OTHER` what stands for all that have none.

        `explanations` is told that the drops are the OpFlex agent's; None: they are of its own.
        """
        self._source = source
        self._books = books
        self._explanations = Explanations() if explanations is None else explanations
        self._senders: Mapping[int, Sender] = {}
        self._opflex_names = NO_NAMES
        self._locations: dict[int, Locations] = {}
        self._known: dict[bytes, tuple[Location, bytes] | None] = {}
        self.change(senders)

    def change(self, senders: Mapping[int, Sender]) -> None:
        """Take other names of the bridges."""
        if senders == self._senders:
            return
        locations = {}
        for vni, sender in senders.items():
            locations[vni] = Locations(self._source, *sender, self._books, first_book=vni * TABLES)
            self._explanations.set(sender.bridge, owner_named(OWNER), Names(), assumed=True)
            locations[vni].learn_opflex_names(self._opflex_names)
        self._senders, self._locations, self._known = senders, locations, {}

    def learn_opflex_names(self, names: OpflexNames) -> None:
        """Take what the OpFlex agent calls its policies and groups."""
        self._opflex_names = names
        for locations in self._locations.values():
            locations.learn_opflex_names(names)
        self._known = {}

    @property
    def headers(self) -> int:
        """Headers whose meaning is remembered; `HEADERS` at most."""
        return len(self._known)

    @property
    def locations(self) -> int:
        """Locations that are remembered of the bridge with the most; `LOCATIONS` at most."""
        return max(locations.kept for locations in self._locations.values())

    def read(self, datagram: bytes) -> Arrival | None:
        """Take a datagram apart; None when it is Geneve, but no drop log.

        :raises MalformedMessage: as `geneve.header_length` and `geneve.parse`
        """
        end = geneve.header_length(datagram)
        header = datagram[:end]
        try:
            found = self._known[header]
        except KeyError:
            found = self._look_at(header)
        if found is None:
            return None
        return *found, datagram[end:]

    def _look_at(self, header: bytes) -> tuple[Location, bytes] | None:
        known = self._known  # names may change meanwhile
        log = geneve.parse(header)
        found = None
        if log is not None:
            locations = self._locations.get(log.vni) or self._locations[OTHER]
            found = locations.recorded(drop_record(log.metadata), log.table_id), log.metadata
        if len(known) >= HEADERS:
            known.clear()
        known[header] = found
        return found


def senders(
    pipelines: Mapping[str, Pipeline], configured: Mapping[str, tuple[str, str | None]]
) -> dict[int, Sender]:
    """The bridges by VNI. `configured` has name and own prefix of a bridge by its pipeline."""
    found = {}
    for vni, pipeline in VNIS.items():
        name, prefix = configured.get(pipeline, (DEFAULT_BRIDGES[pipeline], None))
        found[vni] = Sender(name, prefix, pipelines[pipeline])
    found[OTHER] = Sender("geneve", "", pipelines["auto"])
    return found
