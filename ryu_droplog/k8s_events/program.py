"""`ryu-droplog events`: from the socket to the API server, thread by thread.

The listener's thread reads and hands on; another applies the rules; the poster's and the pod
watch's speak to the API server, and only they wait for it. The main thread waits for signals.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from ryu_droplog.config.settings import Events
from ryu_droplog.k8s_events.api import Api
from ryu_droplog.k8s_events.event_counters import EventCounters
from ryu_droplog.k8s_events.listener import Listener
from ryu_droplog.k8s_events.pods import PodMap
from ryu_droplog.k8s_events.podwatch import PodWatch
from ryu_droplog.k8s_events.post import FULL, Poster
from ryu_droplog.k8s_events.rules import Discard, Rules
from ryu_droplog.k8s_events.stream import PacketEvent
from ryu_droplog.model.errors import DropLogError

LOG = logging.getLogger(__name__)

QUEUE_SIZE = 10_000
"""Packet events that wait for the rules at most."""
REPORT = 60.0
"""Seconds between two lines of statistics."""
WAKE_TIME = 0.5
"""Seconds between two looks whether a signal has come."""
STOP_TIME = 1.0
"""Seconds in which all threads must end; one that waits for the API server is left behind."""
LISTENING = "Listening for packet events on unix socket %s"
DISABLED = "Packet event recording is disabled"


class ProgramError(DropLogError):
    """A part of the program ended that must not."""


class _Part(Protocol):
    """What has a thread of its own."""

    def run(self) -> None: ...
    def stop(self) -> None: ...


class RuleFilter:
    """Applies the rules to what the listener has read."""

    def __init__(
        self,
        rules: Rules,
        pods: PodMap,
        ready: threading.Event,
        poster: Poster,
        counters: EventCounters,
        *,
        queue_size: int = QUEUE_SIZE,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Rules apply once `ready` is set: before that, the pods of addresses are not known.

        `now` is the time of day, `clock` measures intervals.
        """
        self._rules = rules
        self._pods = pods
        self._ready = ready
        self._poster = poster
        self._counters = counters
        self._queue_size = queue_size
        self._now = now
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: deque[PacketEvent] = deque()
        self._stopping = False

    def take(self, events: list[PacketEvent]) -> None:
        """Take packet events, or refuse and count them when the queue is full; never waits."""
        with self._changed:
            room = max(0, self._queue_size - len(self._waiting))
            self._waiting.extend(events[:room])
            self._counters.discard(FULL, len(events[room:]))
            self._changed.notify()

    def run(self) -> None:
        """Apply the rules until `stop`."""
        while not self._stopping:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping)
            if self._ready.wait(0.2):
                self.turn()

    def stop(self) -> None:
        """Make `run` return soon."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def turn(self) -> None:
        """Apply the rules to all that waits."""
        while not self._stopping:
            with self._changed:
                if not self._waiting:
                    return
                event = self._waiting.popleft()
            clock = self._clock()
            verdict = self._rules.judge(event, self._pods, self._now(), clock)
            if isinstance(verdict, Discard):
                self._counters.discard(verdict.value)
            elif self._poster.put(verdict):
                self._rules.posted(verdict, clock)


def run(settings: Events, node: str, api: Api, report: float = REPORT) -> bool:
    """Serve until SIGTERM or SIGINT; whether all threads have ended, and none waits for an answer.

    Raises ListenerError where the socket cannot be had, and ProgramError where a thread fails.
    """
    failed: list[str] = []
    counters, pods = EventCounters(), PodMap()
    watch = PodWatch(api, node, pods)
    poster = Poster(api, node, settings.max_age, counters)
    rules = Rules(settings.max_age, settings.interval)
    rule_filter = RuleFilter(rules, pods, watch.ready, poster, counters)
    with _stop_signals() as stopping:
        listener = Listener(settings.socket, rule_filter.take, counters)
        LOG.info(LISTENING, settings.socket)
        LOG.info("node %s, API server %s", node, api.host)
        parts: dict[str, _Part] = {
            "listener": listener,
            "rules": rule_filter,
            "poster": poster,
            "pods": watch,
        }
        threads = [
            threading.Thread(
                target=_guarded, args=(part.run, stopping, failed), name=name, daemon=True
            )
            for name, part in parts.items()
        ]
        for thread in threads:
            thread.start()
        logged = ""
        while not _stopped_within(stopping, report):
            line = counters.in_words()
            if line != logged:
                LOG.info("%s", line)
                logged = line
        for part in parts.values():
            part.stop()
        deadline = time.monotonic() + STOP_TIME
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        LOG.info("%s", counters.in_words())
    if failed:
        raise ProgramError(f"{failed[0]} has ended with an error")
    return not any(thread.is_alive() for thread in threads)


def idle() -> None:
    """Do nothing until SIGTERM or SIGINT, when packet events are switched off."""
    with _stop_signals() as stopping:
        LOG.info(DISABLED)
        while not _stopped_within(stopping, REPORT):
            pass


def _guarded(run: Callable[[], None], stopping: threading.Event, failed: list[str]) -> None:
    """A thread that ends by a mistake of ours ends the program, which is then started anew."""
    name = threading.current_thread().name
    try:
        run()
    except Exception:
        LOG.exception("%s has ended with an error", name)
        failed.append(name)
        stopping.set()


def _stopped_within(stopping: threading.Event, seconds: float) -> bool:
    """Whether a signal has come, waiting so long at most.

    Looks up now and then: a signal that comes while the process is stopped (SIGSTOP) may go to
    another thread, and Python calls its handler in this one, as soon as it does something.
    """
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if stopping.wait(min(left, WAKE_TIME)):
            return True
    return stopping.is_set()


@contextlib.contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set."""
    stopping = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stopping.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
