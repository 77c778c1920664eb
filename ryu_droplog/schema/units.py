"""Times and numbers as people write them: `500ms`, `2m`, `7d`, `100K`, `1G`."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

_TIME = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_NUMBER = re.compile(r"([0-9]{1,9})([KMG])", re.ASCII)
_POWERS = {"K": 10**3, "M": 10**6, "G": 10**9}


def seconds(text: str) -> float:
    """The seconds in `500ms`, `1s`, `2m`, `12h` or `7d`; raises ValueError."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("a time")
    return float(match[1]) * _SECONDS[match[2]]


def number(text: str) -> int:
    """The number in `100K`, `10M` or `1G`, which are powers of ten; raises ValueError."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ValueError("a number")
    return int(match[1]) * _POWERS[match[2]]


class Quantity(ABC):
    """Metadata of a `float` or `int` that may be written with a unit, in quotes or without."""

    low: str | int
    high: str | int
    pattern: str

    @property
    @abstractmethod
    def text(self) -> str:
        """What a value in the range is."""

    @abstractmethod
    def value(self, given: str | int) -> float:
        """The number that is meant; raises ValueError."""

    def check(self, given: Any) -> Any:
        """The number, in the range; whatever is neither number nor text is left to pydantic."""
        if isinstance(given, bool) or not isinstance(given, (int, float, str)):
            return given
        try:
            found = self.value(given) if isinstance(given, str) else given
        except ValueError:
            raise ValueError(self.text) from None
        if not self.value(self.low) <= found <= self.value(self.high):
            raise ValueError(self.text)
        return found

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        check: Callable[[Any], Any] = self.check
        return core_schema.no_info_before_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        plain = handler(schema)
        plain |= {"minimum": self.value(self.low), "maximum": self.value(self.high)}
        return {"anyOf": [plain, {"type": "string", "pattern": f"^{self.pattern}$"}]}


@dataclass(frozen=True)
class Duration(Quantity):
    """Seconds, or a number with `ms`, `s`, `m`, `h` or `d`."""

    low: str
    high: str
    pattern = _TIME.pattern

    @property
    def text(self) -> str:
        return f'a time from "{self.low}" to "{self.high}"'

    def value(self, given: str | int) -> float:
        return seconds(given) if isinstance(given, str) else float(given)


@dataclass(frozen=True)
class Number(Quantity):
    """An integer, or a number with `K`, `M` or `G`, powers of ten."""

    low: int
    high: int
    pattern = _NUMBER.pattern

    @property
    def text(self) -> str:
        return f'an integer from {self.low} to {self.high}, or such as "100K", "10M", "1G"'

    def value(self, given: str | int) -> int:
        return number(given) if isinstance(given, str) else given
