"""What all sources of identities have in common; a source of your own is a subclass.

Each looks in a thread of its own, so that one that hangs holds up nobody else.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, ClassVar, NamedTuple

from ryu_droplog.identity.knowledge import Knowledge
from ryu_droplog.identity.statement import Statement
from ryu_droplog.ovsdb.southbound_rows import LogicalPort

LOG = logging.getLogger(__name__)

LOOK_TIME = 0.5
"""Seconds between two looks of a source."""


class SourceContext(NamedTuple):
    """What the program gives to each."""

    knowledge: Knowledge
    """What it finds it tells there."""
    threads: ModuleType
    """The `threading` module as it was before eventlet changed it."""
    rundirs: Sequence[str] = ()
    """Run directories of the Open vSwitch of this host, one in most cases."""
    owner_ports: Callable[[], Mapping[str, Sequence[LogicalPort]]] = dict
    """The ports that owners' databases know, by the name of the bridge."""


class IdentitySource:
    """Finds out whose ports, MACs and addresses are."""

    name: ClassVar[str]
    """As in `plugins.parts.IDENTITIES`, and in the key `identity` of droplog.yaml."""
    KEY: ClassVar[Any]
    """The value of its key, `Annotated` for pydantic with `Field(description=…, examples=…)`. None
    or False is among what it takes, and means that nothing is looked up there."""
    DEFAULT: ClassVar[Any] = None
    """What holds where the key is absent."""
    IN_HUB: ClassVar[bool] = False
    """Whether it has sockets: then it looks in a thread of the hub, else in a real one."""

    def __init__(self, place: Any, context: SourceContext) -> None:
        """`place` is the value of its key. Nothing is looked at before `look`."""
        self.place = place
        self.context = context
        self.trouble = ""
        """Why it knows nothing, or nothing new; empty: it does."""
        self._ended = context.threads.Event()
        self._telling = context.threads.Lock()
        self._said = ""
        """The trouble that was logged last."""
        self._mistaken = False

    @abstractmethod
    def look(self) -> None:
        """See what has changed, and `tell`; called again and again. What fails is `trouble`."""

    def tell(
        self, statements: Mapping[Any, Statement], domains: Mapping[str, int] | None = None
    ) -> None:
        """Have this hold from now on, and nothing else of what this source has told before.

        Each statement has a key of its own, by which it is found again.
        """
        with self._telling:
            if not self._ended.is_set():
                self.context.knowledge.tell(self.name, statements, domains)

    def start(self) -> None:
        """Begin to look, in a thread of its own."""
        if self.IN_HUB:
            from os_ken.lib import hub  # not where a configuration is only checked

            from ryu_droplog.concurrency.threads import start

            start(self._run, hub.sleep)
        else:
            thread = self.context.threads.Thread(
                target=self._run, args=(self._ended.wait,), name=self.name, daemon=True
            )
            thread.start()

    def close(self) -> None:
        """Look no more, and have nothing hold that it has told; never waits."""
        with self._telling:
            self._ended.set()
            self.context.knowledge.tell(self.name, {})

    def state(self) -> dict[str, Any]:
        """For `status`."""
        return {"ends": self.context.knowledge.ends(self.name), "trouble": self.trouble}

    def attempt(self) -> None:
        """Look once, whatever comes of it."""
        try:
            self.look()
        except Exception as error:
            self.trouble = f"a mistake of this program: {type(error).__name__}"
            if not self._mistaken:
                LOG.exception("identity.%s: cannot be looked at", self.name)
            self._mistaken = True

    def _run(self, rest: Callable[[float], object]) -> None:
        quiet = self.place == self.DEFAULT  # what no user has asked for may well not be there
        while not self._ended.is_set():
            self.attempt()
            if self.trouble != self._said:
                level = logging.DEBUG if quiet else logging.INFO
                LOG.log(level, "identity.%s: %s", self.name, self.trouble or "all is well")
                self._said = self.trouble
            quiet = quiet and bool(self.trouble)
            rest(LOOK_TIME)
