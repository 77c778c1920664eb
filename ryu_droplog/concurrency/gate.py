"""Threads that are started before it is certain that they are wanted, and wait until it is.

Starting a thread can fail. Where many are needed together or not at all, all are started first.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from os_ken.lib import hub


class Gate:
    """Closed until `decide`; whoever waits at it goes on then, or ends and has done nothing."""

    def __init__(self, threads: ModuleType) -> None:
        """`threads` is `threading` as it was before eventlet changed it."""
        self._decided = hub.Event()
        self._decided_for_real = threads.Event()
        self._open = False

    def decide(self, *, go_on: bool) -> None:
        """Let all go on, or end them; counts once."""
        if not self._decided_for_real.is_set():
            self._open = go_on
            self._decided_for_real.set()
            self._decided.set()

    def run(self, function: Callable[..., None], *arguments: object) -> None:
        """Call the function once the gate is open; in a thread of the hub."""
        self._decided.wait()
        if self._open:
            function(*arguments)

    def run_for_real(self, function: Callable[..., None], *arguments: object) -> None:
        """The same in a real thread, whatever the hub."""
        self._decided_for_real.wait()
        if self._open:
            function(*arguments)
