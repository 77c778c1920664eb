"""Threads of the hub whose end is never silent.

The native hub of os-ken 4 takes any exception for an orderly end (os_ken/lib/hub.py, TaskExit).
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from os_ken.lib import hub

LOG = logging.getLogger(__name__)


JOIN_TIME = 20.0
"""Seconds that threads have to end, once they were told to."""


def start(function: Callable[..., None], *arguments: object) -> Any:
    """Run a function in a thread of the hub; an exception that it lets out is logged.

    The end of the program does not wait for it.
    """

    def guarded() -> None:
        try:
            function(*arguments)
        except Exception:
            LOG.exception("%s has ended with an error", getattr(function, "__qualname__", function))

    if hub.HUB_TYPE == "eventlet":
        return hub.spawn(guarded)
    thread = threading.Thread(target=guarded, daemon=True)  # the hub's own would be waited for
    thread.start()
    return thread


def join(threads: Iterable[Any], seconds: float = JOIN_TIME) -> bool:
    """Wait until all of these have ended, so many seconds at most; whether they have.

    With eventlet a thread that never yields cannot be waited for, nor left.
    """
    deadline = time.monotonic() + seconds
    return all(_ended(thread, deadline - time.monotonic()) for thread in threads)


def _ended(thread: Any, seconds: float) -> bool:
    if hub.HUB_TYPE != "eventlet":
        thread.join(max(seconds, 0.0))
        return not thread.is_alive()
    limit = hub.Timeout(max(seconds, 0.001))
    try:
        thread.wait()
    except hub.Timeout as timeout:
        if timeout is not limit:
            raise
        return False
    except hub.TaskExit:  # somebody has killed it
        pass
    finally:
        limit.cancel()
    return True


class Group:
    """Threads of the hub that are forgotten when they end."""

    def __init__(self) -> None:
        self._threads: dict[object, Any] = {}
        self._changing = threading.Lock()

    def start(self, function: Callable[..., None], *arguments: object) -> None:
        """As `start`."""
        token = object()

        @functools.wraps(function)
        def run() -> None:
            try:
                function(*arguments)
            finally:
                with self._changing:
                    self._threads.pop(token, None)

        with self._changing:
            self._threads[token] = start(run)

    def __len__(self) -> int:
        return len(self._threads)

    def join(self, seconds: float = JOIN_TIME) -> bool:
        """Wait until all have ended, so many seconds at most; whether they have."""
        with self._changing:
            threads = list(self._threads.values())
        return join(threads, seconds)
