"""Numbers with their things, times and spans of time in words."""

from __future__ import annotations

import pytest

from ryu_droplog.text.phrases import count, duration, timestamp, were, without_name


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "0 flows"), (1, "1 flow"), (2, "2 flows"), (101, "101 flows")]
)
def test_only_one_is_singular(number: int, expected: str) -> None:
    assert expected == count(number, "flow")


def test_verb_goes_with_the_number() -> None:
    assert ["0 drops were", "1 drop was", "2 drops were"] == [were(n, "drop") for n in range(3)]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-5, "0 s"),
        (0.9, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (172_799, "47 h 59 min"),
        (172_800, "2 days"),
    ],
)
def test_span_is_told_in_the_units_that_matter(seconds: float, expected: str) -> None:
    assert expected == duration(seconds)


def test_time_is_in_utc_with_its_offset() -> None:
    assert "2024-02-20T07:59:16+00:00" == timestamp(1708415956.8)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("br-int: another is at work", "another is at work"),
        ("br-int is connected already", "is connected already"),
        ("br-int2: x", "br-int2: x"),
        ("no meters", "no meters"),
    ],
)
def test_name_is_not_told_twice(text: str, expected: str) -> None:
    assert expected == without_name("br-int", text)
