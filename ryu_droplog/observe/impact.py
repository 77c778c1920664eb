"""What dropped SYNs mean for those who sent them: who waits, who scans. Pure.

A client repeats a SYN with the same ports and sequence number, each time after a longer while
(RFC 9293 section 3.8.1, RFC 6298 section 5). A scanner sends to many targets and seldom repeats.
All of it is inferred from the packets that were received: where some are missing, at least so.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

from ryu_droplog.records.record import Record
from ryu_droplog.records.times import seconds_of
from ryu_droplog.text.phrases import count

CONNECTIONS = 8192
"""Connections that are remembered at most; those that were tried longest ago are forgotten."""
SCANNED = 20
"""Targets from which on a sender who hardly repeats is a scanner."""
SCANNED_PORTS = 100
"""Ports from which on a sender is a scanner, although it repeats, as a scan by connect(2) does."""
PATIENCE = 3.0
"""Seconds after a SYN for which its client may be silent at least: three times RFC 6298's first."""
BACK_OFF = 2.5
"""How many times as long as the last pause the next may be: twice, and some tolerance."""

_Key = tuple[str, int, str, int, int]


class _Connection(Struct):
    first: float
    last: float
    pause: float = 0.0
    tries: int = 1

    def waits(self, now: float) -> bool:
        return self.tries > 1 and now - self.last <= max(PATIENCE, BACK_OFF * self.pause)


class Impact(NamedTuple):
    """What is felt at one moment."""

    clients: int = 0
    """Addresses with a connection that is still tried."""
    oldest: float = 0.0
    """Seconds for which the oldest of these connections has been tried."""
    tries: int = 0
    """SYNs of that connection."""
    ended: int = 0
    """Addresses that have repeated a SYN, and do not any more: they gave up, or got through."""
    once: int = 0
    """Addresses that have sent a SYN and not repeated it."""
    scanners: int = 0
    ports: int = 0
    """Different ports that all scanners together have tried."""
    addresses: int = 0
    """Different addresses that they have tried."""
    at_least: bool = False
    """Whether packets are missing, so that all numbers may be higher."""

    def in_words(self) -> str:
        """`3 clients wait, the oldest for 14 s, 4 tries`; empty: there were no SYNs."""
        parts = []
        if self.clients:
            waits = f"{count(self.clients, 'client')} {'waits' if self.clients == 1 else 'wait'}"
            oldest = "for" if self.clients == 1 else "the oldest for"
            tries = "1 try" if self.tries == 1 else f"{self.tries} tries"
            parts.append(f"{waits}, {oldest} {self.oldest:.0f} s, {tries}")
        if self.scanners:
            who = "one scanner" if self.scanners == 1 else f"{self.scanners} scanners"
            one_address = self.addresses == 1 or self.ports >= self.addresses
            what = count(self.ports, "port") if one_address else f"{self.addresses} addresses"
            parts.append(f"{who}, {what}")
        if self.ended:
            tries = "tries" if self.ended == 1 else "try"
            parts.append(f"{count(self.ended, 'client')} no longer {tries}")
        if self.once and not (self.clients or self.scanners or self.ended):
            parts.append(f"{count(self.once, 'client')} tried once")
        return ("at least " if self.at_least and parts else "") + "; ".join(parts)


class Impacts:
    """Remembers the SYNs among the records that it is given, in their order."""

    def __init__(self, connections: int = CONNECTIONS) -> None:
        self._limit = connections
        self._connections: dict[_Key, _Connection] = {}
        self._incomplete = False

    def miss(self) -> None:
        """Packets are missing: rate-limited, summarised, or lost for this observer."""
        self._incomplete = True

    def add(self, record: Record) -> None:
        """Take a record; what is no SYN is ignored.

        One that stands for several counts as one try: whether they had its sequence number is not
        known.
        """
        tcp, source, destination = record.packet.tcp, record.source, record.destination
        if tcp is None or "SYN" not in tcp.flags or "ACK" in tcp.flags:
            return
        if source is None or destination is None:
            return
        if record.repeated:
            self._incomplete = True
        ports = tcp.source_port, tcp.destination_port
        key = source.ip, ports[0], destination.ip, ports[1], tcp.sequence
        at = seconds_of(record.time)
        known = self._connections.pop(key, None)
        if known is None:
            if len(self._connections) >= self._limit:
                del self._connections[next(iter(self._connections))]
                self._incomplete = True
            known = _Connection(at, at)
        else:
            known.tries += 1
            known.pause = max(at - known.last, 0.0)
            known.first, known.last = min(known.first, at), max(known.last, at)
        self._connections[key] = known  # the last that was tried is the last to be forgotten

    def at(self, now: float) -> Impact:
        """What is felt; `now` in seconds since the epoch, as the records' time."""
        by_sender: dict[str, list[tuple[_Key, _Connection]]] = {}
        for key, connection in self._connections.items():
            by_sender.setdefault(key[0], []).append((key, connection))
        clients = ended = once = scanners = 0
        oldest: _Connection | None = None
        ports: set[int] = set()
        addresses: set[str] = set()
        for tried in by_sender.values():
            if _scans(tried):
                scanners += 1
                ports.update(key[3] for key, _ in tried)
                addresses.update(key[2] for key, _ in tried)
                continue
            waiting = [connection for _, connection in tried if connection.waits(now)]
            if waiting:
                clients += 1
                first = min(waiting, key=lambda connection: connection.first)
                oldest = first if oldest is None or first.first < oldest.first else oldest
            elif any(connection.tries > 1 for _, connection in tried):
                ended += 1
            else:
                once += 1
        return Impact(
            clients,
            max(now - oldest.first, 0.0) if oldest is not None else 0.0,
            oldest.tries if oldest is not None else 0,
            ended,
            once,
            scanners,
            len(ports),
            len(addresses),
            self._incomplete,
        )


def _scans(tried: list[tuple[_Key, _Connection]]) -> bool:
    targets = {(key[2], key[3]) for key, _ in tried}
    repeated = {(key[2], key[3]) for key, connection in tried if connection.tries > 1}
    if len({key[3] for key, _ in tried}) >= SCANNED_PORTS:
        return True
    return len(targets) >= SCANNED and 2 * len(repeated) < len(targets)
