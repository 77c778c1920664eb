"""Threads of the hub whose end is never silent.

The native hub of os-ken 4 takes any exception for an orderly end (os_ken/lib/hub.py, TaskExit).
"""

from __future__ import annotations

import logging
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
