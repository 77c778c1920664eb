"""Types of values that more than one model of a file has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field

from ryu_droplog.schema.expected import Expected

T = TypeVar("T")

Directory = Annotated[
    str,
    Field(pattern=r"^/[^\x00-\x1f\x7f]*$", max_length=4095),
    Expected("an absolute path"),
]
TIME = Expected('a time such as "500ms", "1s" or "2m", or seconds')
"""For a time whose type is wrong; one that is out of its range is told the range."""


def checked_by(parse: Callable[[Any], object]) -> AfterValidator:
    """Leaves a value as it is, if `parse` takes it.

    `parse` raises ValueError otherwise, whose text says what was expected.
    """

    def check(value: T) -> T:
        parse(value)
        return value

    return AfterValidator(check)
