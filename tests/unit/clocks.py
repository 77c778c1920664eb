"""A clock that stands still, and texts of times that are to be forgotten when the zone changes."""

from __future__ import annotations

from types import ModuleType


class Clock:
    """Goes on only when a test says so; seconds."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def forget(*modules: ModuleType) -> None:
    """Empty every cache (`functools.lru_cache`) of the modules."""
    for module in modules:
        for member in vars(module).values():
            if hasattr(member, "cache_clear"):
                member.cache_clear()


def remembered(module: ModuleType) -> int:
    """Results that the caches of the module hold."""
    members = vars(module).values()
    return sum(member.cache_info().currsize for member in members if hasattr(member, "cache_info"))
