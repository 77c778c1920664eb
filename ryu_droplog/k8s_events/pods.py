"""Which pod of the node has an address: pure, without the API server (podwatch.py asks it)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

ENDED = ("Succeeded", "Failed")
"""Phases of a pod whose address may be another's by now."""


class Pod(NamedTuple):
    """A pod, as far as packet events need it."""

    uid: str
    namespace: str
    name: str
    phase: str
    """`Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`."""
    host_network: bool
    addresses: frozenset[Address]
    created: str
    """RFC 3339 in UTC with whole seconds, as the API server writes it: its text can be compared."""

    @property
    def takes_events(self) -> bool:
        """Whether an event of its traffic is of use to it."""
        return self.phase == "Running" and not self.host_network


class End(NamedTuple):
    """One end of a packet's way."""

    address: Address
    pod: Pod | None
    """The pod of this node that has the address."""

    def __str__(self) -> str:
        """As a message names it."""
        return str(self.address) if self.pod is None else f"{self.pod.namespace}/{self.pod.name}"


class PodMap:
    """The pods of the node, by address. One thread changes it while others ask it."""

    def __init__(self) -> None:
        self._pods: dict[str, Pod] = {}
        """By uid, in the order in which they were first seen."""
        self._owners: dict[Address, Pod] = {}

    def __len__(self) -> int:
        """Pods that hold an address, or may yet."""
        return len(self._pods)

    def replace(self, pods: Iterable[Pod]) -> None:
        """Know these pods, and no others."""
        alive = {pod.uid: pod for pod in pods if pod.phase not in ENDED}
        before = [uid for uid in self._pods if uid in alive]
        self._pods = {uid: alive[uid] for uid in (*before, *alive)}
        claims: dict[Address, list[Pod]] = {}
        for pod in self._pods.values():
            for address in pod.addresses:
                claims.setdefault(address, []).append(pod)
        owners = {address: _owner(pods) for address, pods in claims.items()}
        self._owners = {address: pod for address, pod in owners.items() if pod is not None}

    def put(self, pod: Pod) -> None:
        """A pod is new or has changed."""
        if pod.phase in ENDED:
            self.remove(pod.uid)
            return
        before = self._pods.get(pod.uid)
        self._pods[pod.uid] = pod
        self._settle(pod.addresses | (before.addresses if before else frozenset()))

    def remove(self, uid: str) -> None:
        """A pod is gone; its addresses may have been another's for long."""
        gone = self._pods.pop(uid, None)
        if gone is not None:
            self._settle(gone.addresses)

    def at(self, address: str) -> End | None:
        """The end at `address`, an IPv4 or IPv6 address in any notation; None if it is none."""
        parsed = parse(address)
        return None if parsed is None else End(parsed, self._owners.get(parsed))

    def _settle(self, addresses: Iterable[Address]) -> None:
        for address in addresses:
            claims = [pod for pod in self._pods.values() if address in pod.addresses]
            owner = _owner(claims)
            if owner is None:
                self._owners.pop(address, None)
            else:
                self._owners[address] = owner


def parse(text: str) -> Address | None:
    """The address that `text` is; None if it is none.

    An IPv4 address in an IPv6 one (RFC 4291 section 2.5.5.2) is the IPv4 address; a zone
    (`fe80::1%eth0`) says nothing here.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.scope_id is not None:
            return ipaddress.IPv6Address(int(address))
    return address


def _owner(claims: list[Pod]) -> Pod | None:
    """Whose an address is, of the pods that claim it.

    The newest one's with a network of its own. The node's addresses are those of all its pods with
    hostNetwork: with several of them, nobody knows whose packet it was.
    """
    own = [pod for pod in claims if not pod.host_network]
    if own:
        # Of two that were created in the same second, the one that was seen later.
        return max(reversed(own), key=lambda pod: pod.created)
    return claims[0] if len(claims) == 1 else None
