"""Posts Events for pods, and raises the count of those that are there.

An Event is core/v1's: made by POST, its count raised by PATCH. One pod, reason and message have
one Event, whose name tells them, so that neither a second try nor a second run of this program
makes another: a name that is taken (409) is looked at, and counted up unless it was our own try.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Protocol

import msgspec

from ryu_droplog.concurrency.backoff import Backoff
from ryu_droplog.k8s_events.api import ApiError
from ryu_droplog.k8s_events.event_counters import EventCounters
from ryu_droplog.k8s_events.pending import Key, Moment, PostedEvent, Waiting, body, written
from ryu_droplog.k8s_events.rules import PodEvent

LOG = logging.getLogger(__name__)

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds until the API server is tried again."""
QUEUE = 1000
"""Packet events that wait to be posted at most; what comes then is discarded, and counted."""
MEMORY = 5000
"""Events that are remembered at most, to raise their counts without a question."""

IDLE = 3600.0
"""Seconds that nothing wakes the thread, but something new."""

FULL, AGED, REFUSED, NAMESPACE_GONE = "queue full", "aged", "refused", "namespace gone"
"""Why a packet event that the rules let through becomes no Event."""


class EventSink(Protocol):
    """The part of `api.Api` that is needed here."""

    def create_event(self, namespace: str, body: Mapping[str, Any]) -> None: ...
    def patch_event(self, namespace: str, name: str, body: Mapping[str, Any]) -> None: ...
    def read_event(self, namespace: str, name: str) -> bytes: ...


_decode_event = msgspec.json.Decoder(PostedEvent).decode


class _Pause:
    """Nothing is tried before a time."""

    def __init__(self, backoff: Backoff) -> None:
        self.backoff = backoff
        self.until = 0.0


class Poster:
    """Takes what is to be posted; another thread posts it, in `run`."""

    def __init__(
        self,
        api: EventSink,
        node: str,
        max_age: float,
        counters: EventCounters,
        *,
        queue: int = QUEUE,
        memory: int = MEMORY,
        backoff: Callable[[], Backoff] = lambda: Backoff(FIRST_PAUSE, LONGEST_PAUSE),
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`max_age` in seconds; `clock` measures pauses and ages, `now` is the time of day."""
        self._api = api
        self._node = node
        self._max_age = max_age
        self._counters = counters
        self._queue = queue
        self._memory = memory
        self._backoff = backoff
        self._clock = clock
        self._now = now
        self._changed = threading.Condition()
        self._stopping = False
        self._waiting: OrderedDict[Key, Waiting] = OrderedDict()
        self._size = 0
        self._posted: OrderedDict[Key, PostedEvent] = OrderedDict()
        self._everything = _Pause(backoff())
        self._namespaces: dict[str, _Pause] = {}
        self._failing = False

    def put(self, event: PodEvent) -> bool:
        """Take an event, or refuse and count it when the queue is full; never waits."""
        pod = event.pod
        key = Key(pod.namespace, pod.name, pod.uid, event.reason, event.message)
        moment = Moment(self._clock() - max(0.0, self._now() - event.time), event.time)
        with self._changed:
            if self._size >= self._queue:
                self._counters.discard(FULL)
                return False
            self._waiting.setdefault(key, Waiting()).times.append(moment)
            self._size += 1
            self._changed.notify()
        return True

    def run(self) -> None:
        """Post until `stop`."""
        while not self._stopping:
            wait = self.turn()
            with self._changed:
                if wait > 0 and not self._stopping:
                    self._changed.wait(wait)

    def stop(self) -> None:
        """Make `run` return after the request that it waits for."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def turn(self) -> float:
        """Try one; returns how many seconds there is nothing to do, if nothing new comes."""
        with self._changed:
            self._forget_aged()
            key, wait = self._next()
            if key is None:
                return wait
            waiting = self._waiting[key]
            times = waiting.begin()
        try:
            was_created = self._send(key, times, waiting.unheard)
        except ApiError as error:
            with self._changed:
                self._failed(key, waiting, error)
        else:
            with self._changed:
                self._done(key, waiting)
            self._counters.post(int(was_created), len(times) - int(was_created))
        return 0.0

    def _forget_aged(self) -> None:
        limit = self._clock() - self._max_age
        for key, waiting in list(self._waiting.items()):
            self._lose(key, waiting, waiting.forget(limit), AGED)

    def _lose(self, key: Key, waiting: Waiting, count: int, reason: str) -> None:
        """So many packet events of a key, which it has no longer, become nothing."""
        self._size -= count
        self._counters.discard(reason, count)
        if not waiting.size:
            self._waiting.pop(key, None)

    def _next(self) -> tuple[Key | None, float]:
        """What may be tried now, in the order in which it came; or how long nothing may be."""
        clock = self._clock()
        if not self._waiting:
            self._namespaces.clear()
            return None, IDLE
        oldest = min(waiting.oldest for waiting in self._waiting.values())
        soonest = max(0.01, oldest + self._max_age - clock)
        if clock < self._everything.until:
            return None, min(soonest, self._everything.until - clock)
        for key in self._waiting:
            pause = self._namespaces.get(key.namespace)
            if pause is None or pause.until <= clock:
                return key, 0.0
            soonest = min(soonest, pause.until - clock)
        return None, soonest

    def _send(self, key: Key, times: list[float], unheard: bool) -> bool:
        """Make or count up the Event; returns whether it was made. Raises ApiError."""
        posted = self._posted.get(key)
        if posted is not None:
            try:
                self._count_up(key, posted, times)
            except ApiError as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise
                self._posted.pop(key)  # Events live for an hour, mostly
            else:
                return False
        new = PostedEvent(len(times), written(min(times)), written(max(times)))
        try:
            self._api.create_event(key.namespace, body(key, new, self._node))
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                raise _NamespaceGoneError(str(error)) from error
            if error.status != HTTPStatus.CONFLICT:
                raise
        else:
            self._remember(key, new)
            return True
        there = self._read(key)
        if unheard and there == new:
            self._remember(key, new)
            return True
        self._count_up(key, there, times)
        return False

    def _count_up(self, key: Key, posted: PostedEvent, times: list[float]) -> None:
        count = max(posted.count or 1, 1) + len(times)
        last = max(posted.last_timestamp or "", written(max(times)))
        change = {"count": count, "lastTimestamp": last}
        # Kept before it is tried: a second try must write the same number.
        self._remember(key, posted)
        self._api.patch_event(key.namespace, key.event_name, change)
        self._remember(key, PostedEvent(count, posted.first_timestamp, last))

    def _read(self, key: Key) -> PostedEvent:
        answer = self._api.read_event(key.namespace, key.event_name)
        try:
            return _decode_event(answer)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise ApiError(f"the answer is no Event: {error}") from None

    def _remember(self, key: Key, posted: PostedEvent) -> None:
        self._posted[key] = posted
        self._posted.move_to_end(key)
        if len(self._posted) > self._memory:
            self._posted.popitem(last=False)

    def _done(self, key: Key, waiting: Waiting) -> None:
        self._size -= len(waiting.trying)
        waiting.trying, waiting.unheard = [], False
        if waiting.size:
            self._waiting.move_to_end(key)
        else:
            del self._waiting[key]
        self._everything.backoff.reset()
        self._namespaces.pop(key.namespace, None)
        if self._failing:
            self._failing = False
            LOG.info("events are posted again")

    def _failed(self, key: Key, waiting: Waiting, error: ApiError) -> None:
        if error.terminating or isinstance(error, _NamespaceGoneError):
            self._give_up(key, waiting, NAMESPACE_GONE, error)
            return
        if _is_final(error.status):
            self._give_up(key, waiting, REFUSED, error)
            return
        self._waiting.move_to_end(key)
        waiting.unheard = waiting.unheard or error.status == 0 or error.status >= 500
        if _is_everyones(error.status):
            pause = self._everything
        else:
            if len(self._namespaces) > self._queue:
                self._namespaces.clear()
            pause = self._namespaces.setdefault(key.namespace, _Pause(self._backoff()))
        wait = max(pause.backoff.failed(), error.retry_after or 0.0)
        pause.until = self._clock() + wait
        level = logging.DEBUG if self._failing else logging.WARNING
        self._failing = True
        LOG.log(level, "cannot post events, trying again in %.1f s: %s", wait, error)

    def _give_up(self, key: Key, waiting: Waiting, reason: str, error: ApiError) -> None:
        count = len(waiting.trying)
        waiting.trying, waiting.unheard = [], False
        self._lose(key, waiting, count, reason)
        LOG.warning("event of pod %s/%s is given up: %s", key.namespace, key.pod, error)


class _NamespaceGoneError(ApiError):
    """The namespace in which an Event was to be made is not there."""


def _is_final(status: int) -> bool:
    """Whether the same request would be refused in the same way for ever."""
    later = (
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,  # rights may come
        HTTPStatus.NOT_FOUND,  # the Event went while it was looked at
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
    )
    return 400 <= status < 500 and status not in later


def _is_everyones(status: int) -> bool:
    """Whether it is the API server that cannot, and not one namespace that may not."""
    namespaces = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
    return status not in namespaces and (status < 500 or status == HTTPStatus.SERVICE_UNAVAILABLE)
