"""Filters of droplog.yaml: of `prune`, and of a sink."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ryu_droplog.config.filter_spec import FilterError, FilterSpec, parse_filter
from ryu_droplog.schema.wording import show
from ryu_droplog.schema.yaml_document import Document, Item


def filters_of(
    filters: Iterable[Mapping[Any, Any]],
    document: Document,
    path: Sequence[object],
    before: Iterable[FilterSpec] = (),
) -> tuple[FilterSpec, ...]:
    """Those `before`, then what the list at `path` has.

    Raises ConfigError for the first mistake.
    """
    by_name = {filter.name: filter for filter in before}
    for index, fields in enumerate(filters):
        where = [*path, Item(index)]
        try:
            made = parse_filter(fields)
        except FilterError as error:
            place = [*where, error.key] if error.key else where
            raise document.mistake(place, error.wrong, error.expected) from None
        if made.name in by_name:
            wrong = f"{show(made.name)} is the name of another filter already"
            raise document.mistake([*where, "name"], wrong, "a name for each filter")
        by_name[made.name] = made
    return tuple(by_name.values())
