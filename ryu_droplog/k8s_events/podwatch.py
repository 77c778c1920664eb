"""Keeps a PodMap true: lists the pods of the node, then watches them.

A watch goes on from the last version seen; where the API server no longer knows that one (410,
Kubernetes API concepts, "Efficient detection of changes"), the pods are listed again.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Protocol, TypeVar

import msgspec
from msgspec import Struct

from ryu_droplog.concurrency.backoff import Backoff
from ryu_droplog.k8s_events.api import AnswerTimeout, ApiError
from ryu_droplog.k8s_events.pods import Pod, PodMap, parse

T = TypeVar("T")

LOG = logging.getLogger(__name__)

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds until the API server is tried again."""
WATCH = 300
"""Seconds that a watch lasts, and up to as many more."""
STEADY = 10.0
"""Seconds after which a watch that says nothing has been a good one all the same."""
BREATH = 0.2
"""Seconds between a good watch and the next."""
MAX_PAGES = 100
"""Pages of a list: with 500 pods on each, more than a node can have."""


class PodSource(Protocol):
    """The part of `api.Api` that is needed here."""

    def list_pods(self, node: str, token: str | None) -> bytes: ...
    def watch_pods(self, node: str, version: str, seconds: int) -> Iterator[bytes]: ...


class _Meta(Struct, rename="camel"):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    creation_timestamp: str | None = None
    resource_version: str = ""


class _Spec(Struct, rename="camel"):
    host_network: bool | None = None


class _Ip(Struct):
    ip: str | None = None


class _PodStatus(Struct):
    phase: str | None = None
    ip: str | None = msgspec.field(default=None, name="podIP")
    ips: list[_Ip] | None = msgspec.field(default=None, name="podIPs")


class _Pod(Struct):
    metadata: _Meta
    spec: _Spec | None = None
    status: _PodStatus | None = None

    def as_pod(self) -> Pod:
        """As the map takes it."""
        meta, status = self.metadata, self.status or _PodStatus()
        texts = [status.ip, *(item.ip for item in status.ips or ())]
        addresses = (parse(text) for text in texts if text)
        return Pod(
            uid=meta.uid,
            namespace=meta.namespace,
            name=meta.name,
            phase=status.phase or "Unknown",
            host_network=bool(self.spec and self.spec.host_network),
            addresses=frozenset(address for address in addresses if address is not None),
            created=meta.creation_timestamp or "",
        )


class _ListMeta(Struct, rename="camel"):
    resource_version: str = ""
    token: str | None = msgspec.field(default=None, name="continue")


class _PodList(Struct):
    metadata: _ListMeta
    items: list[_Pod] | None = None


class _Change(Struct):
    type: str
    object: msgspec.Raw


class _Refusal(Struct):
    """Status of meta/v1, within a watch."""

    code: int = 0
    message: str | None = None


_decode_list = msgspec.json.Decoder(_PodList).decode
_decode_change = msgspec.json.Decoder(_Change).decode
_decode_pod = msgspec.json.Decoder(_Pod).decode
_decode_refusal = msgspec.json.Decoder(_Refusal).decode


class PodWatch:
    """Watches the pods of one node, in the thread of whoever calls `run`."""

    def __init__(
        self,
        api: PodSource,
        node: str,
        pods: PodMap,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._node = node
        self._pods = pods
        self._backoff = backoff or Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        self._clock = clock
        self._stopping = threading.Event()
        self._version: str | None = None
        self._moved = False
        self._failing = False
        self.ready = threading.Event()
        """Set when the pods of the node are known for the first time."""
        self.failures = 0
        """How often a list or a watch failed."""

    def run(self) -> None:
        """Watch until `stop`."""
        while not self._stopping.is_set():
            self._stopping.wait(self.turn())

    def stop(self) -> None:
        """Make `run` return after what it waits for."""
        self._stopping.set()

    def turn(self) -> float:
        """List if need be, then one watch to its end; returns how many seconds to wait now."""
        begin, self._moved = self._clock(), False
        try:
            if self._version is None:
                self._list()
            self._watch()
        except AnswerTimeout as error:
            good = self._moved or self._clock() - begin >= STEADY
            return self._rest() if good and self.ready.is_set() else self._trouble(error)
        except ApiError as error:
            if error.status == HTTPStatus.GONE or isinstance(error, _MalformedAnswer):
                self._version = None
            return self._trouble(error)
        good = self._moved or self._clock() - begin >= STEADY
        if good:
            self._recovered()
        return self._rest() if good else self._backoff.failed()

    def _rest(self) -> float:
        self._backoff.reset()
        return BREATH

    def _trouble(self, error: ApiError) -> float:
        self.failures += 1
        if self._moved:
            self._backoff.reset()
        wait = self._backoff.failed()
        if error.retry_after is not None:
            wait = max(wait, error.retry_after)
        level = logging.DEBUG if self._failing else logging.WARNING
        LOG.log(level, "cannot watch the pods of node %s: %s", self._node, error)
        self._failing = True
        return wait

    def _list(self) -> None:
        pods: list[Pod] = []
        token: str | None = None
        for _ in range(MAX_PAGES):
            page = _decoded(_decode_list, self._api.list_pods(self._node, token))
            pods += [pod.as_pod() for pod in page.items or ()]
            token = page.metadata.token
            if not token:
                break
        else:
            raise ApiError(f"the list of pods has more than {MAX_PAGES} pages")
        self._pods.replace(pods)
        self._version = page.metadata.resource_version
        if not self.ready.is_set():
            LOG.info("node %s has %d pods", self._node, len(self._pods))
        self.ready.set()

    def _watch(self) -> None:
        seconds = WATCH + random.randrange(WATCH)
        for line in self._api.watch_pods(self._node, self._version or "", seconds):
            if self._stopping.is_set():
                return
            if line.strip():
                self._change(line)

    def _change(self, line: bytes) -> None:
        change = _decoded(_decode_change, line)
        if change.type == "ERROR":
            refusal = _decoded(_decode_refusal, change.object)
            raise ApiError(f"{refusal.code} {refusal.message or ''}".strip(), refusal.code)
        pod = _decoded(_decode_pod, change.object)
        if change.type in ("ADDED", "MODIFIED"):
            self._pods.put(pod.as_pod())
        elif change.type == "DELETED":
            self._pods.remove(pod.metadata.uid)
        self._version = pod.metadata.resource_version or self._version
        self._moved = True
        self._recovered()

    def _recovered(self) -> None:
        if self._failing:
            LOG.info("the pods of node %s are watched again", self._node)
        self._failing = False


class _MalformedAnswer(ApiError):
    """What the API server said is not understood."""


def _decoded(decode: Callable[[bytes | msgspec.Raw], T], data: bytes | msgspec.Raw) -> T:
    try:
        return decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _MalformedAnswer(
            f"the answer is no list of pods, or no change of one: {error}"
        ) from None
