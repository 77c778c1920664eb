"""What every owner of a bridge is asked, whoever it is.

An owner is one object without state: a subclass of `Owner` in a module of its own, registered by
name in `plugins.parts.OWNERS`. What it answers depends on what it is given alone, so that one
object serves all bridges, from any thread. What is known of one bridge is in `Names`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import ClassVar, Literal, Protocol

from ryu_droplog.model.drop import Drop
from ryu_droplog.openflow.flow_stats import Flow
from ryu_droplog.pipelines.loader import AUTO
from ryu_droplog.records.record import Record

Sureness = Literal["certain", "likely", "unknown"]
FlowsByTable = Mapping[int, Sequence[Flow]]
"""The flows of a bridge by OpenFlow table number, without those of this program."""
Explanation = Mapping[str, str | int]
"""Why a packet was dropped and whose it was, by key, in the order in which they are shown."""


@dataclass(frozen=True)
class Recognition:
    """Whose bridge it seems to be."""

    pipeline: str
    """Name of the owner's pipeline; `auto` where nobody was recognised."""
    sureness: Sureness
    evidence: tuple[str, ...]
    """What speaks for it, for people."""

    def in_words(self) -> str:
        """One line: who, how sure, and why."""
        if self.sureness == "unknown":
            return "not recognised"
        return f"{self.pipeline} ({self.sureness}: {'; '.join(self.evidence)})"


UNRECOGNISED = Recognition(AUTO, "unknown", ())


@dataclass(frozen=True)
class Remedy:
    """What would have let a packet through, as the owner's own command; never run here."""

    command: str
    """For a shell; what stands in capitals is for the user to fill in. Empty: there is none."""
    text: str
    """What the command allows and what it cannot know, or why there is none."""


class Database(Protocol):
    """What an owner's database says of the flows of one bridge. Only ever read."""

    def refresh(self, flows: Collection[Flow]) -> bool:
        """Ask for what is not known of these flows; may take seconds, and raises nothing.

        Returns whether anything new is known. Everything else answers at once, from any thread.
        """

    def is_drop(self, cookie: int) -> bool:
        """Whether the owner says that its flow with this cookie drops, whatever else it does."""

    def names(self, cookie: int) -> Mapping[str, str]:
        """What the owner calls its flow with this cookie, as far as it is known, by key.

        Fit for a line (`text.printable`). `stage` and `acl` take the place of the table's name and
        of the policy's in the drop reason.
        """

    def close(self) -> None:
        """Ask nothing more; never waits."""


class NoDatabase:
    """Of an owner that has none, or whose database is not on this host."""

    def refresh(self, flows: Collection[Flow]) -> bool:
        return False

    def is_drop(self, cookie: int) -> bool:
        return False

    def names(self, cookie: int) -> Mapping[str, str]:
        return {}

    def close(self) -> None:
        pass


NO_DATABASE = NoDatabase()


@dataclass
class Names:
    """What things on one bridge are called, as far as it is known now.

    Read by any thread: a value is replaced as a whole, never changed.
    """

    ports: Mapping[int, str] = field(default_factory=dict)
    """The bridge's ports by OpenFlow port number; fit for a line."""
    database: Database = NO_DATABASE


class Owner:
    """A program that owns bridges, as far as this one understands it; this class does not at all.

    A method that an owner has nothing to say to is left as it is.
    """

    name: ClassVar[str]
    """As in `plugins.parts.OWNERS`, and in the key `explain` of a pipeline."""
    pipelines: ClassVar[tuple[str, ...]] = ()
    """Names of the pipelines (`flows/*.yaml`) that `recognise` can answer."""

    def recognise(self, flows: FlowsByTable) -> Recognition | None:
        """Whether a bridge with these flows is this owner's: by what no other owner does."""
        return None

    def explain(self, drop: Drop, names: Names) -> Explanation:
        """What the owner noted of a packet, in registers and connection tracking.

        Called by the sinks whose format has room for it, in their threads, for each drop of a
        bridge whose pipeline names this owner: it must not wait. What is not known is left out.
        """
        return {}

    def remedy(self, record: Record, port_ids: Mapping[str, str]) -> Remedy | None:
        """The rule that would let this packet pass where it was dropped; None: no answer.

        `port_ids` are the ids (`external_ids:iface-id`) of the bridge's interfaces by their name,
        as far as they are known.
        """
        return None

    def loses_nothing(self, flow: Flow) -> bool:
        """Whether nobody misses the packets that this drop flow of the owner's takes."""
        return False

    def open_database(self, rundir: str, *, once: bool) -> Database:
        """What can be asked about the flows of a bridge of this host; does not connect yet.

        `rundir` is the run directory of Open vSwitch. `once`: for a single look, by a command; it
        says nothing to the log. Else it is kept for as long as the owner has the bridge.
        """
        return NO_DATABASE

    def warnings(self, flows: FlowsByTable) -> Iterator[str]:
        """What `doctor` should warn of: drops that the owner itself keeps from being seen.

        Asked of every bridge, so by flows that no other owner has.
        """
        yield from ()


def all_flows(flows: FlowsByTable) -> Iterator[Flow]:
    """The flows of all tables."""
    return chain.from_iterable(flows.values())
