"""Answers observers on a Unix socket, in one thread that never costs the program a drop.

It works in short slices and rests as long as it has worked while more is to be done: whatever is
asked, most of the processor is left to those who read from the switches. Observers that are too
many for that lose records, and are told how many.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import resource
import time
from _socket import socket as Socket
from collections import deque
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from ryu_droplog import __version__
from ryu_droplog.model.errors import DropLogError, why
from ryu_droplog.observe.feeds import Feeds
from ryu_droplog.observe.filters import predicate
from ryu_droplog.observe.listening import listen_for_observers
from ryu_droplog.observe.observer import Observer
from ryu_droplog.observe.protocol import PROTOCOL, control, read_request
from ryu_droplog.observe.query import Query, QueryError
from ryu_droplog.processing.ring import Ring
from ryu_droplog.records.context import EncoderContext

LOG = logging.getLogger(__name__)

MOST = 1000
"""Observers at once, at most; and at most a quarter of the descriptors that a process may have."""
HELD = 100_000
"""Drops that are kept in memory at most for those who have asked for them and not read them yet."""
LOOK_TIME = 0.02
"""Seconds between two looks at the rings while somebody follows."""
IDLE_TIME = 0.25
SLICE = 0.002
"""Seconds of work without a rest."""
LONGEST_REST = 0.02
ARRIVALS = 32
"""Observers that are let in at once, before others have their turn."""
_POLLIN, _POLLOUT = 1, 4  # poll(2)


class ObserverServer:
    """The observers of this program."""

    def __init__(
        self,
        run_directory: str,
        rings: Callable[[], Mapping[str, Ring]],
        context: EncoderContext,
        threads: ModuleType,
        select: ModuleType,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the socket; raises OSError, and RunDirectoryError when others may write there.

        `threads` and `select` are the modules as they were before eventlet changed them; `clock` is
        the one by which drops are `received`.
        """
        self._socket, self._path = listen_for_observers(run_directory)
        self._context = context
        self._feeds = Feeds(rings, context)
        self._clock = clock
        self._observers: dict[int, Observer] = {}
        """By descriptor."""
        self._asking: deque[Observer] = deque()
        """Those who wait for the status."""
        self._answers: deque[tuple[Observer, bytes]] = deque()
        self._wanted_context: EncoderContext | None = None
        self._select = select
        self._poll = select.poll()
        self._poll.register(self._socket.fileno(), _POLLIN)
        self._most = min(MOST, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)
        self._rest: Any = threads.Event()
        self._stopping = False
        self._thread = threads.Thread(target=self._run, name="observers", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def change(self, context: EncoderContext, group: str | None) -> None:
        """Let another group in, and make records in another way; raises DropLogError.

        Where the group cannot be let in, nobody of it is.
        """
        self._wanted_context = context
        self._path.admit(group)

    def answer_status(self, tell: Callable[[], dict[str, Any]]) -> None:
        """Tell those the status who wait for it, in the thread that may ask for it."""
        if not self._asking:
            return
        try:
            answer = control(status=tell())
        except Exception as error:  # it is for them to know, and costs nobody else anything
            LOG.exception("the status cannot be told")
            answer = control(error=f"the status cannot be told: {type(error).__name__}")
        while self._asking:
            self._answers.append((self._asking.popleft(), answer))

    def stop(self, seconds: float) -> None:
        """Hang up."""
        self._stopping = True
        self._rest.set()
        if self._thread.ident is not None:
            self._thread.join(seconds)
        self.discard()

    def discard(self) -> None:
        """Remove the socket's file, whatever the thread does."""
        self._path.remove()

    def state(self) -> dict[str, Any]:
        """How many there are, for `status`."""
        return {"observers": len(self._observers), "at_most": self._most}

    # The thread

    def _run(self) -> None:
        busy = False
        while not self._stopping:
            try:
                busy = self._turn(busy)
            except Exception:
                LOG.exception("observers: a mistake of this program; all of them are hung up on")
                for observer in self._observers.values():
                    observer.gone = True
                self._rest.wait(IDLE_TIME)
        for observer in list(self._observers.values()):
            observer.end(control(error="the program ends"))
            observer.flush(self._clock())
            observer.socket.close()
        self._socket.close()

    def _turn(self, busy: bool) -> bool:
        """One look at everything; whether more is to be done at once."""
        live = any(observer.live for observer in self._observers.values())
        pause = 0.0 if busy else LOOK_TIME if live else IDLE_TIME
        events = self._poll.poll(pause * 1000)
        begin = time.perf_counter()
        if self._wanted_context is not None:
            context, self._wanted_context = self._wanted_context, None
            self._feeds.change(context)
        for descriptor, _ in events:
            observer = self._observers.get(descriptor)
            if observer is None:
                for _ in range(ARRIVALS):
                    if not self._accept():
                        break
                continue
            line = observer.request()
            if line is not None:
                self._begin(observer, line)
        while self._answers:
            observer, answer = self._answers.popleft()
            observer.end(answer)
        busy = self._work(begin + SLICE)
        self._send()
        busy = busy or any(o.history and o.has_room for o in self._observers.values())
        if busy:
            self._rest.wait(min(time.perf_counter() - begin, LONGEST_REST))
        return busy

    def _work(self, deadline: float) -> bool:
        """Send what is there and what has come, until then; whether something is left."""
        followers = [observer for observer in self._observers.values() if observer.live]
        readers = deque(o for o in self._observers.values() if o.history is not None)
        more = self._feeds.take(followers) if followers else False
        while more or readers:
            if more:
                self._feeds.hand_on(followers)
                more = self._feeds.take(followers)
            if readers:
                observer = readers.popleft()
                assert observer.history is not None
                try:
                    if next(observer.history) and observer.history is not None:
                        readers.append(observer)
                except StopIteration:
                    observer.history = None
            if time.perf_counter() > deadline:
                return more or bool(readers)
        return False

    def _accept(self) -> bool:
        """Let one in who has connected; whether there was one."""
        try:
            descriptor, _ = self._socket._accept()  # type: ignore[attr-defined]
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._rest.wait(IDLE_TIME)
            return False
        observer = Observer(Socket(fileno=descriptor), self._clock())
        observer.socket.setblocking(False)
        if len(self._observers) >= self._most:
            with contextlib.suppress(OSError):
                observer.socket.send(
                    control(error=f"there are {self._most} observers already, and no room for more")
                )
            observer.socket.close()
            return True
        self._observers[descriptor] = observer
        self._poll.register(descriptor, _POLLIN)
        observer.say(control(protocol=PROTOCOL, program=__version__, pid=os.getpid()))
        return True

    def _begin(self, observer: Observer, line: bytes) -> None:
        """Do what is asked for."""
        try:
            request = read_request(line)
            if request.query is None:
                self._asking.append(observer)
                return
            self._observe(observer, request.query)
        except QueryError as error:
            observer.end(control(error=str(error)))

    def _observe(self, observer: Observer, query: Query) -> None:
        observer.matches = predicate(query.conditions)
        observer.query, observer.left = query, query.first
        now = self._clock()
        if query.until is not None:
            observer.until = now - query.until
        drops = self._feeds.drops(query, now)
        if query.follow and query.last is None and query.first is None and query.since is None:
            drops.entries.clear()
        if query.last is not None and not query.conditions:
            del drops.entries[: max(len(drops.entries) - query.last, 0)]
        held = sum(other.held for other in self._observers.values()) + len(drops.entries)
        if held > HELD:
            raise QueryError("too much is being read at the moment, try again")
        if query.follow and not any(self._follows(o) for o in self._observers.values()):
            self._feeds.begin()
        observer.held = len(drops.entries)
        observer.history = self._feeds.history(observer, drops)

    @staticmethod
    def _follows(observer: Observer) -> bool:
        return observer.live or (
            observer.history is not None and observer.query is not None and observer.query.follow
        )

    def _send(self) -> None:
        now = self._clock()
        for descriptor, observer in list(self._observers.items()):
            observer.flush(now)
            observer.look_at_time(now)
            if observer.gone:
                self._poll.unregister(descriptor)
                del self._observers[descriptor]
                with contextlib.suppress(ValueError):
                    self._asking.remove(observer)
                observer.socket.close()
            else:
                self._poll.modify(
                    descriptor, _POLLIN | _POLLOUT if observer.waits_to_send else _POLLIN
                )


def open_server(*arguments: Any) -> ObserverServer | None:
    """A server that answers, or None where none can be: why, is in the log.

    Takes what `ObserverServer` takes. The program does its work without observers, too.
    """
    try:
        server = ObserverServer(*arguments)
    except (OSError, DropLogError) as error:
        reason = why(error) if isinstance(error, OSError) else error
        LOG.warning("nobody can observe: %s", reason)
        return None
    server.start()
    return server
