"""Filters: what a drop must have to be left out, and their text forms in a configuration.

The keys of a filter are registered (`FILTERS`), each in a module of `ryu_droplog.filters` or of
another package: this module knows none but those of the default filters. Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ryu_droplog.filters.mac import WHOLE_MAC
from ryu_droplog.filters.numbers import only
from ryu_droplog.packet import headers
from ryu_droplog.plugins.filter_key import FilterError, FilterKey, Form, got, shown
from ryu_droplog.plugins.parts import FILTERS
from ryu_droplog.schema.wording import nearest, show

__all__ = ["DEFAULTS", "FilterError", "FilterSpec", "fields", "only", "parse_filter"]

NAME_LENGTH = 64
"""Characters of a filter's name at most."""
NAME = "name"
"""The key that asks nothing of a drop."""
PLAIN_KEYS = ("sip", "dip", "smac", "dmac", "ip_proto", "sport", "dport")
"""What the filters of the OpFlex agent's control files may ask."""

_WHOLE_IPV4 = b"\xff" * headers.IPV4_ADDRESS_LENGTH
_EXPECTED_NAME = f"a name of 1 to {NAME_LENGTH} printable characters"


@dataclass(frozen=True, init=False)
class FilterSpec:
    """What a drop must have to be left out: all of it."""

    name: str
    """Under which it is counted."""
    values: Mapping[str, Any] = field(hash=False)
    """What is asked, by key, at least one thing; each value as `FilterKey.parse` makes it."""

    def __init__(self, name: str, /, **values: Hashable) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "values", MappingProxyType(values))


DEFAULTS: tuple[FilterSpec, ...] = (
    FilterSpec("lldp", dmac=(headers.LLDP_MAC, WHOLE_MAC)),
    FilterSpec("igmp", ethertype=headers.ETHERTYPE_IPV4, ip_proto=only(headers.PROTOCOL_IGMP)),
    FilterSpec(
        "icmpv6-multicast",
        dmac=headers.IPV6_MULTICAST_MAC,
        ethertype=headers.ETHERTYPE_IPV6,
        ip_proto=only(headers.PROTOCOL_ICMPV6),
    ),
    FilterSpec(
        "ipv6-hop-by-hop-multicast",
        dmac=headers.IPV6_MULTICAST_MAC,
        ethertype=headers.ETHERTYPE_IPV6,
        ip_proto=only(headers.PROTOCOL_HOP_BY_HOP),
    ),
    FilterSpec(
        "mdns-ipv6",  # of MAC and port alone, as the OpFlex agent's
        dmac=headers.IPV6_MULTICAST_MAC,
        ip_proto=only(headers.PROTOCOL_UDP),
        dport=only(headers.MDNS_PORT),
    ),
    FilterSpec(
        "mdns",
        dip=(headers.MDNS_IPV4, _WHOLE_IPV4),
        ethertype=headers.ETHERTYPE_IPV4,
        ip_proto=only(headers.PROTOCOL_UDP),
        sport=only(headers.MDNS_PORT),
        dport=only(headers.MDNS_PORT),
    ),
)
"""What nobody routes: left out unless the user wants to see it."""


def parse_filter(fields: Mapping[str, object]) -> FilterSpec:
    """The filter that a configuration's mapping describes: a name, and what each key asks.

    Raises FilterError for the first mistake.
    """
    return _parse(fields, FILTERS.names, _registered, lambda key, value: key.parse(value))


def parse_plain_filter(fields: Mapping[str, object]) -> FilterSpec:
    """The same without ranges and lists: the grammar of the OpFlex agent's control files."""
    return _parse(fields, lambda: PLAIN_KEYS, _plain, lambda key, value: key.parse_plain(value))


def _parse(
    fields: Mapping[str, object],
    names: Callable[[], Sequence[str]],
    find: Callable[[str], FilterKey | None],
    parse: Callable[[FilterKey, object], Hashable],
) -> FilterSpec:
    """`names` are those of all keys, for whoever has missed them; `find` finds one."""
    if not isinstance(fields, Mapping):
        raise FilterError("", got(fields), f"a mapping with the keys {_all(names())}")
    keys: dict[str, FilterKey] = {}
    for name in fields:
        if name == NAME:
            continue
        key = find(name) if isinstance(name, str) else None
        if key is None:
            text = name if isinstance(name, str) else shown(name)
            wrong = f"unknown key{nearest(text, [NAME, *names()])}"
            raise FilterError(text, wrong, f"one of {_all(names())}")
        keys[name] = key
    if NAME not in fields:
        raise FilterError(NAME, "missing", _EXPECTED_NAME)
    values = {
        name: _name(value) if name == NAME else parse(keys[name], value)
        for name, value in fields.items()
    }
    if len(values) == 1:
        wrong = "nothing but a name, which all drops would fit"
        raise FilterError("", wrong, f"one of {', '.join(names())}")
    return FilterSpec(str(values.pop(NAME)), **values)


def fields(filter: FilterSpec) -> dict[str, Form]:
    """The filter in text forms, key by key: what `parse_filter` reads."""
    values = {key: FILTERS.get(key).form(value) for key, value in filter.values.items()}
    return {NAME: filter.name, **values}


def _registered(name: str) -> FilterKey | None:
    try:
        key: object = FILTERS.get(name)
    except LookupError:
        return None
    except Exception as error:  # of another package's code
        wrong = f"cannot be loaded: {show(f'{type(error).__name__}: {error}')}"
        raise FilterError(name, wrong, "an entry point that can be imported") from error
    if not isinstance(key, FilterKey):
        expected = f"an object of class {FilterKey.__name__} at its entry point"
        raise FilterError(name, got(key), expected)
    return key


def _plain(name: str) -> FilterKey | None:
    return FILTERS.get(name) if name in PLAIN_KEYS else None


def _name(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= NAME_LENGTH or not value.isprintable():
        raise FilterError(NAME, got(value), _EXPECTED_NAME)
    return value


def _all(names: Iterable[str]) -> str:
    return ", ".join([NAME, *names])
