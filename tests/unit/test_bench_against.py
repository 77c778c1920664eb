"""How tools/bench --against judges its rounds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

TOOLS = str(Path(__file__).parents[2] / "tools")


@pytest.fixture(autouse=True)
def _tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(TOOLS)


@pytest.mark.parametrize(
    ("rounds", "expected"),
    [
        (9, (2, 8)),  # 1 - 2 * (1 + 9) / 512: 96.1 %
        (6, (1, 6)),  # 96.9 %
        (3, (1, 3)),  # too few: 75 %
        (1, (1, 1)),
        (20, (6, 15)),  # 95.9 %
    ],
)
def test_interval_is_of_two_rounds_between_which_the_median_surely_lies(
    rounds: int, expected: tuple[int, int]
) -> None:
    from benchmarks.against import interval

    assert expected == interval([float(n) for n in range(rounds, 0, -1)])


def test_runs_take_turns_so_that_neither_is_always_first() -> None:
    from benchmarks.against import turns

    asked = ""

    def run(name: str, values: Iterator[int]) -> float:
        nonlocal asked
        asked += name
        return float(next(values))

    olds, news = iter([1, 2, 30, 4]), iter([5, 6, 70, 8])
    assert (3.0, 7.0) == turns(lambda: run("a", olds), lambda: run("b", news), 4)
    assert "abbaabba" == asked
