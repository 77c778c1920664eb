"""The most frequent keys of a stream are there, and counted no more often than they came."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ryu_droplog.processing.heavy_hitters import HeavyHitters

SIZE = 4


@given(st.lists(st.integers(0, 12), max_size=300))
def test_frequent_keys_are_there_and_counted_no_more_often_than_they_came(keys: list[int]) -> None:
    hitters: HeavyHitters[int] = HeavyHitters(SIZE)
    there: set[int] = set()
    for key in keys:
        there.discard(hitters.add(key) or 0)
        there.add(key)
    true = Counter(keys)
    found = dict(hitters.most())
    assert len(found) <= SIZE
    assert len(keys) == hitters.total
    assert {key for key, count in true.items() if count * SIZE > len(keys)} <= found.keys()
    assert all(least <= true[key] for key, least in found.items())
    if len(true) <= SIZE:
        assert true == Counter(found)


def test_most_frequent_comes_first() -> None:
    hitters: HeavyHitters[str] = HeavyHitters(SIZE)
    for key in "abacabad":
        hitters.add(key)
    assert ["a", "b"] == [key for key, _ in hitters.most()][:2]
    assert "a" in hitters


def test_keys_that_come_once_each_are_known_once_for_certain() -> None:
    hitters: HeavyHitters[int] = HeavyHitters(SIZE)
    gone = [hitters.add(number) for number in range(1000)]
    assert 1000 - SIZE == sum(key is not None for key in gone)
    assert {1} == {least for _, least in hitters.most()}
