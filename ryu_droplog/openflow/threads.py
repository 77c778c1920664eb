"""Threads of the hub whose end is never silent.

The native hub of os-ken 4 takes any exception for an orderly end (os_ken/lib/hub.py, TaskExit).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any

from os_ken.lib import hub

LOG = logging.getLogger(__name__)


def start(function: Callable[..., None], *arguments: object) -> Any:
    """Run a function in a thread of the hub; an exception that it lets out is logged."""

    def guarded() -> None:
        try:
            function(*arguments)
        except Exception:
            LOG.exception("%s has ended with an error", getattr(function, "__qualname__", function))

    return hub.spawn(guarded)


def join(threads: Iterable[Any]) -> None:
    """Wait until all of these have ended."""
    hub.joinall(list(threads))


class Group:
    """Threads of the hub that are forgotten when they end."""

    def __init__(self) -> None:
        self._threads: dict[object, Any] = {}
        self._changing = threading.Lock()

    def start(self, function: Callable[..., None], *arguments: object) -> None:
        """As `start`."""
        token = object()

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

    def join(self) -> None:
        """Wait until all have ended."""
        with self._changing:
            threads = list(self._threads.values())
        join(threads)
