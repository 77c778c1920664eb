"""Filters of where a drop happened: bridge, table, reason; and what every key has to say."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from drops import drop, location
from frames import ARP, IPV4, arp, ethernet

from ryu_droplog.config.filter_spec import (
    PLAIN_KEYS,
    FilterError,
    FilterSpec,
    fields,
    parse_filter,
    parse_plain_filter,
)
from ryu_droplog.model.drop import Location
from ryu_droplog.plugins.filter_key import FilterKey
from ryu_droplog.plugins.parts import FILTERS
from ryu_droplog.processing.filter import FilterSet

CONFIGURATION = (Path(__file__).resolve().parents[2] / "docs" / "configuration.md").read_text(
    encoding="utf-8"
)

INT = location(4, bridge="br-int", name="SEC_GROUP_IN_TABLE", reason="MISS")
EX = location(13, bridge="br-ex", name="POL_TABLE", reason="DENY")
ODD = location(0, bridge="BR-INT", name="TABLE_0", reason="PERMIT")


def accepted(key: str, value: object) -> list[Location]:
    filters = FilterSet([parse_filter({"name": "x", key: value})])
    return [where for where in (INT, EX, ODD) if filters.match(drop(where=where)) == "x"]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("bridge", "br-int", [INT]),
        ("bridge", "br-*", [INT, EX]),
        ("bridge", "br-?x", [EX]),
        ("bridge", ["br-e[wx]", "BR-INT"], [EX, ODD]),
        ("bridge", "br", []),
        ("table", 4, [INT]),
        ("table", "13", [EX]),
        ("table", "0-4", [INT, ODD]),
        ("table", "SEC_GROUP_IN_TABLE", [INT]),
        ("table", "*_TABLE", [INT, EX]),
        ("table", ["TABLE_0", "10-20"], [EX, ODD]),
        ("table", "pol_table", []),
        ("reason", "MISS", [INT]),
        ("reason", "deny", [EX]),
        ("reason", ["PERMIT", "MISS"], [INT, ODD]),
    ],
)
def test_place_holds(key: str, value: object, expected: list[Location]) -> None:
    assert expected == accepted(key, value)


def test_place_and_headers_must_hold_together() -> None:
    filters = FilterSet([parse_filter({"name": "x", "bridge": "br-ex", "ethertype": "arp"})])
    frame = ethernet(ARP, arp("10.0.0.1", "10.0.0.2"))
    assert "x" == filters.match(drop(frame, EX))
    assert filters.match(drop(frame, INT)) is None
    assert filters.match(drop(where=EX)) is None


def test_filters_of_many_bridges_are_told_apart_in_any_order() -> None:
    """Also beyond the places that a test keeps in mind."""
    specs = [parse_filter({"name": f"n{n}", "bridge": f"br{n}"}) for n in range(3)]
    filters = FilterSet(specs)
    places = [location(bridge=f"br{n}") for n in range(2000)]
    for _ in range(2):
        names = [filters.match(drop(where=place)) for place in places]
        assert ["n0", "n1", "n2", *[None] * 1997] == names


def test_many_threads_may_ask() -> None:
    filters = FilterSet([parse_filter({"name": "x", "bridge": "br1*"})])
    places = [location(bridge=f"br{n}") for n in range(1500)]
    expected = ["x" if place.bridge.startswith("br1") else None for place in places]
    answers: list[list[str | None]] = []

    def ask() -> None:
        answers.append([filters.match(drop(where=place)) for place in places])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [expected] * 4 == answers


@pytest.mark.parametrize(
    ("form", "shortest"),
    [
        ({"bridge": ["b", "a", "b"]}, {"bridge": ["a", "b"]}),
        ({"bridge": ["br-*"]}, {"bridge": "br-*"}),
        ({"table": ["3", "Z", 1, 2, "A", "Z"]}, {"table": ["1-3", "A", "Z"]}),
        ({"table": [7]}, {"table": 7}),
        ({"reason": ["deny", "MISS", "DENY"]}, {"reason": ["MISS", "DENY"]}),
        ({"ethertype": "IPv6"}, {"ethertype": "0x86dd"}),
        ({"ethertype": 0x0806}, {"ethertype": "0x0806"}),
        ({"ethertype": "0X8100"}, {"ethertype": "0x8100"}),
        ({"ethertype": "2048"}, {"ethertype": "0x0800"}),
    ],
)
def test_place_is_spelt_in_its_shortest_form_and_read_again(
    form: dict[str, object], shortest: dict[str, object]
) -> None:
    read = parse_filter({"name": "x", **form})
    assert {"name": "x", **shortest} == fields(read)
    again = parse_filter(fields(read))
    assert (read, hash(read)) == (again, hash(again))


BRIDGE = 'the name of a bridge, a pattern such as "br-*", or a list of these'
TABLE = (
    'an integer from 0 to 254, the name of a table, a range such as "10-19", '
    'a pattern such as "SEC_*", or a list of these'
)


@pytest.mark.parametrize(
    ("key", "value", "wrong", "expected"),
    [
        ("bridge", 7, "got 7", BRIDGE),
        ("bridge", "", 'got ""', BRIDGE),
        ("bridge", "a\nb", 'got "a\\nb"', BRIDGE),
        ("bridge", ["br", None], "got null", BRIDGE),
        ("bridge", [], "got a list of 0", "a list of 1 to 1000 names"),
        ("table", 255, "got 255", TABLE),
        ("table", "255", 'got "255"', TABLE),
        ("table", "4-255", 'got "4-255"', TABLE),
        ("table", True, "got true", TABLE),
        ("table", [[4]], "got a list", TABLE),
        ("table", "9-4", 'got "9-4"', "a range whose first number is not above its last"),
        ("reason", "DROP", 'got "DROP"', "one of MISS, DENY, PERMIT, or a list of these"),
        ("reason", 1, "got 1", "one of MISS, DENY, PERMIT, or a list of these"),
        ("ethertype", 65536, "got 65536", "an integer from 0 to 0xffff, or one of ipv4, ipv6, arp"),
        ("ethertype", "ip", 'got "ip"', "an integer from 0 to 0xffff, or one of ipv4, ipv6, arp"),
    ],
)
def test_what_is_no_place_is_refused(key: str, value: object, wrong: str, expected: str) -> None:
    with pytest.raises(FilterError) as error:
        parse_filter({"name": "x", key: value})
    assert (key, wrong, expected) == (error.value.key, error.value.wrong, error.value.expected)


@pytest.mark.parametrize("key", ["bridge", "table", "reason", "ethertype"])
def test_control_files_of_the_agent_know_no_places(key: str) -> None:
    with pytest.raises(FilterError, match="unknown key") as error:
        parse_plain_filter({"name": "x", key: "MISS"})
    assert f"one of name, {', '.join(PLAIN_KEYS)}" == error.value.expected


@pytest.mark.parametrize("name", FILTERS.names())
def test_every_key_says_what_it_is(name: str) -> None:
    key = FILTERS.get(name)
    assert isinstance(key, FilterKey)
    assert name == key.name
    assert name in key.tested
    assert key.description.isprintable()
    assert key.schema
    assert 0 < key.chance <= 1
    assert key.cost > 0
    assert f"`{name}`" in CONFIGURATION


def test_filter_cannot_be_changed() -> None:
    spec = FilterSpec("x", ethertype=IPV4)
    with pytest.raises(AttributeError):
        spec.name = "y"  # type: ignore[misc]
    with pytest.raises(TypeError):
        spec.values["ethertype"] = ARP  # type: ignore[index]
