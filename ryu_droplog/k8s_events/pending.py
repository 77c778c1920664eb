"""What one Event is made of: which packet events it tells of, and what it says."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone
from typing import Any, NamedTuple

import msgspec

COMPONENT = "ryu-droplog"
"""Whose the Events are; kubectl shows it in the column From."""
MAX_NAME = 253
"""Characters of an object's name (RFC 1123 subdomain, Kubernetes' object names)."""


class Key(NamedTuple):
    """What has one Event."""

    namespace: str
    pod: str
    uid: str
    reason: str
    message: str

    @property
    def event_name(self) -> str:
        """The name of the Event: the pod's, and 64 bits that all of it is in."""
        identity = "\0".join(self).encode("utf-8", "surrogatepass")
        digest = hashlib.sha256(identity).hexdigest()[:16]
        return f"{self.pod[: MAX_NAME - 17].rstrip('-.')}.{digest}"


class PostedEvent(msgspec.Struct, frozen=True, rename="camel"):
    """An Event that is there."""

    count: int | None = None
    first_timestamp: str | None = None
    last_timestamp: str | None = None


class Moment(NamedTuple):
    """When a packet was dropped."""

    clock: float
    """By a clock that is never set: it measures how old the packet event is."""
    time: float
    """In seconds since the epoch, as it was told: it is written."""


class Waiting:
    """Packet events of one key that wait; times are those of the packets, as they came."""

    def __init__(self) -> None:
        self.times: list[Moment] = []
        """Of those that no try has yet."""
        self.trying: list[Moment] = []
        """Of those that a try has, all in one Event."""
        self.unheard = False
        """True when a try may have come through without an answer; it is made again as it was."""

    @property
    def size(self) -> int:
        return len(self.times) + len(self.trying)

    @property
    def oldest(self) -> float:
        """When what will be too old first was dropped, by `Moment.clock`."""
        return min([*self.times, *([max(self.trying)] if self.trying else [])]).clock

    def begin(self) -> list[float]:
        """The times of what the next try is to have, in seconds since the epoch."""
        if not self.unheard:
            self.trying, self.times = self.trying + self.times, []
        return [moment.time for moment in self.trying]

    def forget(self, limit: float) -> int:
        """Leave out what is older than `limit` (`Moment.clock`); returns how many that were."""
        before = self.size
        self.times = [moment for moment in self.times if moment.clock >= limit]
        if not self.unheard:
            self.trying = [moment for moment in self.trying if moment.clock >= limit]
        elif max(self.trying).clock < limit:
            self.trying, self.unheard = [], False
        return before - self.size


def body(key: Key, posted: PostedEvent, node: str) -> dict[str, Any]:
    """The Event of `key` as the API server takes it; `node` is where it was seen."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": key.event_name, "namespace": key.namespace},
        "type": "Warning",
        "reason": key.reason,
        "message": key.message,
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": key.namespace,
            "name": key.pod,
            "uid": key.uid,
        },
        "source": {"component": COMPONENT, "host": node},
        "reportingComponent": COMPONENT,
        "reportingInstance": node,
        "firstTimestamp": posted.first_timestamp,
        "lastTimestamp": posted.last_timestamp,
        "count": posted.count,
    }


def written(seconds: float) -> str:
    """RFC 3339 in UTC with whole seconds, as `metav1.Time` is written."""
    return datetime.fromtimestamp(int(seconds), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
