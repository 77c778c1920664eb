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
    return hub.spawn(_guarded(function, arguments))


def start_apart(function: Callable[..., None], *arguments: object) -> None:
    """The same, of a function that nobody waits for: the program ends without it, too."""
    guarded = _guarded(function, arguments)
    if hub.HUB_TYPE == "native":  # its threads keep the process alive until they end
        threading.Thread(target=guarded, daemon=True).start()
    else:
        hub.spawn(guarded)


def _guarded(function: Callable[..., None], arguments: tuple[object, ...]) -> Callable[[], None]:
    def guarded() -> None:
        try:
            function(*arguments)
        except Exception:
            LOG.exception("%s has ended with an error", getattr(function, "__qualname__", function))

    return guarded


def join(threads: Iterable[Any]) -> None:
    """Wait until all of these have ended."""
    hub.joinall(list(threads))
