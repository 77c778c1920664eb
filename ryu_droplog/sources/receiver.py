"""What the sources have in common that `receive` of droplog.yaml names, each by a key of its own.

A source of your own is a subclass of `Receiver`; docs/extending.md has a whole one.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from types import ModuleType
from typing import Any, ClassVar, NamedTuple

from ryu_droplog.config.settings import Settings
from ryu_droplog.owners.explanations import Explanations
from ryu_droplog.owners.opflex_names import OpflexNames
from ryu_droplog.pipelines.loader import Pipeline
from ryu_droplog.sources.base import Route, Source


class ReceiverContext(NamedTuple):
    """What the program gives to each."""

    route: Route
    settings: Settings
    pipelines: Mapping[str, Pipeline]
    threads: ModuleType
    """The `threading` module as it was before eventlet changed it: a source reads in a real thread
    under either hub of os-ken."""
    explanations: Explanations
    """Told who explains the drops."""


class Receiver(Source):
    """A source at one place, which takes what others send.

    A reload makes one at the new place (`prepare`, `start`) while the former one is still at work,
    and closes either the former one or, where anything fails, the new one.
    """

    KEY: ClassVar[Any]
    """The value of its key, `Annotated` for pydantic with `Field(description=…, examples=…)`; None
    is among what it takes, and means nowhere. What its validators return is the place."""

    place: Any
    """Where it receives, one of the values of `KEY`; its text is shown."""

    @classmethod
    @abstractmethod
    def prepare(cls, place: Any, context: ReceiverContext, beside: Any) -> Receiver:
        """One that has its place, and does not read yet. Raises ConfigError where that cannot be.

        `beside` is the former one, of the same class and at another place, which goes on until the
        new one has begun; None: there is none.
        """

    @abstractmethod
    def start(self) -> None:
        """Begin to read, in a thread of its own."""

    def change(self, settings: Settings, pipelines: Mapping[str, Pipeline]) -> None:
        """Go on with other settings; the place is the same."""

    def learn_opflex_names(self, names: OpflexNames) -> None:
        """Take what the OpFlex agent calls its policies and groups."""

    def how(self) -> str:
        """How it receives, for the log, once it is at work."""
        return "receiving"
