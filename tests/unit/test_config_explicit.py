"""The keys `explicit_drops` and `format`."""

from __future__ import annotations

import pytest

from ryu_droplog.config.describe import describe
from ryu_droplog.config.loader import parse
from ryu_droplog.config.settings import ExplicitDrops
from ryu_droplog.model.errors import ConfigError
from ryu_droplog.pipelines.loader import load_pipelines

LOG = ExplicitDrops(log=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ExplicitDrops()),
        ("explicit_drops: count", ExplicitDrops()),
        ("explicit_drops: log", LOG),
        ("explicit_drops: {log: all}", LOG),
        ("explicit_drops: {log: []}", ExplicitDrops()),
        ("explicit_drops: {modify: true}", ExplicitDrops(True, True)),
        ("explicit_drops: {log: [46, 16], modify: false}", ExplicitDrops(frozenset({16, 46}))),
        ("explicit_drops: log\nbridges: [{name: a, explicit_drops: count}]", ExplicitDrops()),
        ("bridges: [{name: a, explicit_drops: log}]", LOG),
        ("explicit_drops: log\nbridges: [{name: a}]", LOG),
    ],
)
def test_wish_is_understood_of_all_bridges_or_of_one(text: str, expected: ExplicitDrops) -> None:
    assert expected == parse(text, "f.yaml").bridges[0].explicit_drops


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("explicit_drops: 5", 'explicit_drops: got 5; expected "count", "log", or a mapping'),
        ("explicit_drops: {log: [255]}", "explicit_drops.log[0]: got 255; expected an integer"),
        ("explicit_drops: {log: some}", 'explicit_drops.log: got "some"; expected "all", or a'),
        ("explicit_drops: {modify: 1}", "explicit_drops.modify: got 1; expected true or false"),
        ("explicit_drops: {logs: all}", "explicit_drops.logs: unknown key, nearest is log"),
        ("format: xml", 'format: got "xml"; expected opflex, extended or json'),
    ],
)
def test_mistake_is_named(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "f.yaml")
    assert str(caught.value).startswith(f"f.yaml:1: {expected}")


def test_description_tells_what_is_done_about_explicit_drops() -> None:
    text = "format: json\nexplicit_drops: {log: [46, 16], modify: true}"
    page = describe(parse(text, "f.yaml"), load_pipelines(None)).splitlines()
    assert "format:           json" in page
    expected = (
        "  explicit drops: those of table 16, 46 logged; where need be, the owner's drop flows"
        " are changed"
    )
    assert expected in page
