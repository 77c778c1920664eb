"""What a value may be, in words: from the types and ranges of a pydantic model's fields."""

from __future__ import annotations

import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ryu_droplog.schema.units import Quantity


@dataclass(frozen=True)
class Expected:
    """Metadata of a type: what its values are, where types and ranges do not say it plainly."""

    text: str
    key: str = "key"
    """What the keys of a mapping are called where one is refused."""
    whole: bool = False
    """Whether a mistake inside is told as one of the whole value."""


class Kind(NamedTuple):
    """A type with its metadata, pydantic's own among them."""

    type: Any
    metadata: Sequence[Any] = ()


def kind_of_field(field: FieldInfo) -> Kind:
    """The type of a model's field."""
    below = kind_of(field.annotation)
    return Kind(below.type, (*below.metadata, *field.metadata))


def kind_of(annotation: Any) -> Kind:
    """The type that an annotation stands for, with what `Annotated` and `Field` say of it."""
    if get_origin(annotation) is not Annotated:
        return Kind(annotation)
    inner, *metadata = get_args(annotation)
    flat: list[Any] = []
    for each in metadata:
        flat += each.metadata if isinstance(each, FieldInfo) else [each]
    below = kind_of(inner)
    return Kind(below.type, (*below.metadata, *flat))


def members(kind: Kind) -> list[Kind]:
    """The types of which a union takes one; a type that is no union is its only member."""
    if _is_union(kind):
        return [each for argument in arguments(kind) for each in members(argument)]
    return [kind]


def _is_union(kind: Kind) -> bool:
    return get_origin(kind.type) in (Union, types.UnionType)


def model_of(kind: Kind) -> type[BaseModel] | None:
    """The model among what a kind takes, if there is one."""
    for member in members(kind):
        if isinstance(member.type, type) and issubclass(member.type, BaseModel):
            return member.type
    return None


def items_of(kind: Kind) -> Kind | None:
    """What a list that a kind takes has for items."""
    for member in members(kind):
        if get_origin(member.type) in (tuple, list):
            return arguments(member)[0]
    return None


def mapping_of(kind: Kind) -> Kind | None:
    """The mapping that a kind takes, where its keys are free."""
    return next((each for each in members(kind) if get_origin(each.type) is dict), None)


def arguments(kind: Kind) -> list[Kind]:
    """The types in a union, or what a generic type has between its brackets."""
    return [kind_of(argument) for argument in get_args(kind.type)]


def said(kind: Kind) -> Expected | None:
    """What metadata says of the kind as a whole."""
    return next((each for each in reversed(kind.metadata) if isinstance(each, Expected)), None)


def quantity_of(kind: Kind) -> Quantity | None:
    """The range of a number that may have a unit, if the kind is one."""
    return next((each for each in kind.metadata if isinstance(each, Quantity)), None)


def expected(kind: Kind) -> str:
    """What a value of the kind is: `an integer from 1 to 10`, `a mapping with the keys a, b`."""
    own = said(kind)
    if own is not None:
        return own.text
    quantity = quantity_of(kind)
    if quantity is not None:
        return quantity.text
    if _is_union(kind):
        return " or ".join(dict.fromkeys(expected(part) for part in arguments(kind)))
    if get_origin(kind.type) is Literal:
        return alternatives(value or '""' for value in get_args(kind.type))
    model = model_of(kind)
    if model is not None:
        return f"a mapping with the keys {', '.join(model.model_fields)}"
    if kind.type is int:
        return f"an integer{_range(kind.metadata)}"
    if get_origin(kind.type) in (tuple, list):
        return "a list"
    if get_origin(kind.type) is dict:
        return "a mapping"
    names = {bool: "true or false", str: "a string", float: "a number", types.NoneType: "null"}
    return names.get(kind.type, "a value of another type")


def alternatives(values: Iterable[object]) -> str:
    """`a, b or c`."""
    *others, last = map(str, values)
    return f"{', '.join(others)} or {last}" if others else last


def bounds(metadata: Sequence[Any]) -> tuple[Any, Any]:
    """The lowest and the highest value that metadata allows; None: no bound."""
    low = high = None
    for each in metadata:
        if isinstance(each, annotated_types.Interval):
            low, high = each.ge, each.le
        elif isinstance(each, annotated_types.Ge):
            low = each.ge
        elif isinstance(each, annotated_types.Le):
            high = each.le
    return low, high


def _range(metadata: Sequence[Any]) -> str:
    low, high = bounds(metadata)
    if low is None:
        return "" if high is None else f" of at most {high}"
    return f" of at least {low}" if high is None else f" from {low} to {high}"
