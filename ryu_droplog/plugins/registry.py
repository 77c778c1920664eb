"""A registry: names of parts, and where the code of each is; loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


class Registry(Generic[T]):
    """Parts of one kind by name: the project's own, and those of other packages.

    A name of the project's own is never taken by another package.
    """

    def __init__(
        self,
        kind: str,
        parts: Mapping[str, str],
        group: str | None = None,
        where: str = "",
    ) -> None:
        """`kind` is what a part is called in messages (`sink`), `where` is where names are given.

        `parts` gives the place of each as `module:attribute`; `group` is the entry point group in
        which other packages register theirs, None: they cannot.
        """
        self.kind = kind
        self.where = where or f"{kind}s"
        self._parts = dict(parts)
        self._group = group
        self._loaded: dict[str, T] = {}

    def names(self) -> list[str]:
        """All names, the project's own first; nothing is loaded."""
        if self._group is None:
            return list(self._parts)
        from importlib.metadata import entry_points  # which takes long

        others = entry_points(group=self._group)
        return list(dict.fromkeys([*self._parts, *sorted(point.name for point in others)]))

    def own_names(self) -> list[str]:
        """The names of the project's own."""
        return list(self._parts)

    def __contains__(self, name: str) -> bool:
        """Whether a part is called so; nothing is loaded."""
        return name in self._parts or name in self.names()

    def get(self, name: str) -> T:
        """The part of this name.

        Raises LookupError where no part is called so, and whatever the import of its module
        raises.
        """
        if name not in self._loaded:
            self._loaded[name] = cast(T, self._load(name))
        return self._loaded[name]

    def _load(self, name: str) -> Any:
        if name in self._parts:
            module, _, attribute = self._parts[name].partition(":")
            return getattr(import_module(module), attribute)
        if self._group is not None:
            from stevedore.driver import DriverManager  # only other packages' parts need it
            from stevedore.exception import NoMatches

            def be_silent(names: object) -> None:
                """NoMatches says it."""

            with suppress(NoMatches):
                return DriverManager(
                    self._group, name, on_missing_entrypoints_callback=be_silent
                ).driver
        raise LookupError(f"no {self.kind} is called {name!r}")
