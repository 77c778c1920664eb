"""Ends, put together of what different sources say of them; pure, but for the knowledge it asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ryu_droplog.identity.knowledge import Held, Knowledge
from ryu_droplog.identity.statement import LOGICAL_PORT, MAC, PORT_NAME, VM_ID, Key, Statement
from ryu_droplog.records.record import Identity

ORDER = ("names", "opflex", "southbound", "libvirt", "ovsdb")
"""Whose word counts first; other sources stand beside the last."""
CACHE_SIZE = 16_384
"""Keys whose ends are remembered at most, of each bridge."""
_GROUP = 8
"""Statements that make one end at most."""


class End:
    """What is said of one end by all sources that know it."""

    def __init__(self, said: Sequence[Statement]) -> None:
        """`said` begins with the statement of the source whose word counts first."""
        self.macs = frozenset(mac for each in said for mac in each.macs)
        self.addresses = frozenset(address for each in said for address in each.addresses)
        self.networks = frozenset((each.said_by, each.network) for each in said if each.network)
        """The networks that it is in, each as one source calls it."""
        self.forwards = any(each.forwards for each in said)
        """Whether it is a router's port."""
        self.is_passage = any(each.passage for each in said)
        """Whether nobody is right behind its port."""
        self.is_someone = any(each.tells_who for each in said)
        """Whether more is known than the name of its port."""
        self._identities = {by: _identity(said, by) for by in ("port", "mac", "ip")}

    def identity(self, found_by: str) -> Identity:
        """What is shown of it: the same object each time."""
        return self._identities[found_by]


class BridgeEnds:
    """The ends that are known on one bridge at one moment; each is put together once."""

    def __init__(self, knowledge: Knowledge, moment: float, bridge: str, datapath_id: str) -> None:
        """`datapath_id`: 16 hexadecimal digits; empty: not known."""
        self.bridge = bridge
        self._knowledge = knowledge
        self._moment = moment
        self._datapath_id = datapath_id
        self._domains: Mapping[str, int] = knowledge.domains
        self._found: dict[Key, tuple[End, ...]] = {}

    def of(self, key: Key) -> tuple[End, ...]:
        """The different ends that a key stands for."""
        if not self._knowledge.knows(key):  # most addresses of a scan
            return ()
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= CACHE_SIZE:
                self._found.clear()
            found = self._found[key] = self._ends(self._say(key))
        return found

    def in_range(self, address: bytes) -> tuple[End, ...]:
        """Those that the smallest range stands for which has this address."""
        if not self._knowledge.has_ranges:
            return ()
        return self._ends(_said(self._knowledge.in_range(address, self._moment)))

    def _say(self, key: Key) -> list[Statement]:
        return _said(self._knowledge.at(key, self._moment))

    def _ends(self, left: list[Statement]) -> tuple[End, ...]:
        """The different ends that these statements are of, but for those of other bridges."""
        ends = []
        while left:
            group = self._group(left[0])
            left = [each for each in left[1:] if each not in group]
            if all(self._is_here(each) for each in group):
                ends.append(End(sorted(group, key=_rank)))
        return tuple(ends)

    def _group(self, first: Statement) -> list[Statement]:
        """All that is said of the same end: by name of its port, id, MAC or virtual machine."""
        group = [first]
        for statement in group:
            for key in _same(statement):
                for other in self._say(key):
                    if len(group) < _GROUP and _fits(other, group):
                        group.append(other)
        return group

    def _is_here(self, statement: Statement) -> bool:
        """Whether what is said holds for packets on this bridge."""
        domains = self._domains
        here = self._datapath_id or self.bridge
        if statement.datapath_id and self._datapath_id:
            there = statement.datapath_id
        elif statement.bridge:
            there, here = statement.bridge, self.bridge
            if statement.local and self._is_remote():
                return False
        else:
            return not (statement.local and self._is_remote())
        return there == here or (
            there in domains and here in domains and domains[there] == domains[here]
        )

    def _is_remote(self) -> bool:
        """Whether the bridge is none of this host's, for certain."""
        datapath_id = self._datapath_id
        return bool(datapath_id and self._domains) and datapath_id not in self._domains


def _said(held: Iterable[Held]) -> list[Statement]:
    return [each.statement for each in held]


def _same(statement: Statement) -> Iterable[Key]:
    """What other statements of the same end may have in common with it."""
    for key in statement.found_by():
        if key[0] in (PORT_NAME, LOGICAL_PORT, MAC):
            yield key
    if statement.vm_id:
        yield VM_ID, statement.vm_id


def _fits(other: Statement, group: Sequence[Statement]) -> bool:
    """Whether it can be of the same end: one source knows an end once, and two do not disagree."""
    for each in group:
        if other.said_by == each.said_by and not _of_machine(other) and not _of_machine(each):
            return False
        if other.ports and each.ports and not set(other.ports) & set(each.ports):
            return False
        if other.logical_port and each.logical_port and other.logical_port != each.logical_port:
            return False
    return other not in group


def _of_machine(statement: Statement) -> bool:
    """Whether it says something of a virtual machine, and not of one of its ports."""
    return next(iter(statement.found_by()), ("", ""))[0] == VM_ID


def _rank(statement: Statement) -> int:
    name = statement.said_by
    return ORDER.index(name) if name in ORDER else len(ORDER) - 1


def _identity(said: Sequence[Statement], found_by: str) -> Identity:
    """What is shown of it: of each thing the word of the first who has one."""

    def first(values: Iterable[str]) -> str:
        return next(filter(None, values), "")

    # Pod and namespace come from one source, or they would be another's.
    pod = next((each for each in said if each.pod), None)
    return Identity(
        port=first(name for each in reversed(said) for name in each.ports[:1] if not each.passage)
        or first(name for each in said for name in each.ports[:1]),
        logical_port=first(each.logical_port for each in said),
        vm=first(each.vm for each in said),
        vm_id=first(each.vm_id for each in said),
        pod=pod.pod if pod is not None else "",
        namespace=pod.namespace if pod is not None else first(each.namespace for each in said),
        network=first(each.network for each in said),
        router=first(each.router for each in said),
        found_by=found_by,
        known_from=tuple(dict.fromkeys(each.said_by for each in said)),
    )
