"""The interface between a reconciler and the rest of the program, which it need not know."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from ryu_droplog.cleanup.cleanup_process import Footprint
from ryu_droplog.model.location import DropFlow
from ryu_droplog.openflow.flow_stats import Flow
from ryu_droplog.pipelines.loader import Pipeline


class ReconcilerContext(Protocol):
    """What a reconciler asks and reports; the implementation outlives its connection."""

    def pipeline(self, flows: Sequence[Flow]) -> Pipeline:
        """The pipeline of a bridge with these flows."""

    def learn_names(self, names: Mapping[int, str]) -> None:
        """Take the table names that the bridge itself has."""

    def learn_ports(self, ports: Mapping[int, str]) -> None:
        """Take the names of the bridge's ports by OpenFlow port number."""

    def learn_drops(
        self, drops: Mapping[tuple[int, int], DropFlow], rewritten: Mapping[int, DropFlow]
    ) -> None:
        """Take the drops that ours are above, by table and slot, and rewritten ones, by cookie.

        Called before these flows are added or changed.
        """

    @property
    def has_database(self) -> bool:
        """Whether the owner has a database that can be asked about its flows."""

    def ask_owner(self, flows: Collection[Flow]) -> bool:
        """Ask what the owner calls these flows of its; may take seconds.

        Returns whether anything new is known.
        """

    def is_drop(self, cookie: int) -> bool:
        """Whether the owner says that its flow with this cookie drops."""

    def words(self, cookie: int) -> Mapping[str, str]:
        """What the owner calls its flow with this cookie, as far as it is known."""

    def register_clean_up(self, messages: bytes | None, footprint: Footprint) -> None:
        """Take the messages that undo everything if the program is killed, and how much there is.

        None: the messages are as before, and all leases have just begun anew. Empty: nothing is
        left to undo.
        """

    def asks_on_miss(self) -> bool:
        """Whether the bridge sends an unmatched packet to a controller of its own."""
