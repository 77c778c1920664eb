"""Events and commands of the reconciler are plain data, and no module of theirs does anything."""

from __future__ import annotations

import pickle
from typing import get_args

import pytest

from ryu_droplog.reconcile import commands, events

TYPES = [*get_args(events.Event), *get_args(commands.Command)]


@pytest.mark.parametrize("kind", TYPES, ids=[kind.__name__ for kind in TYPES])
def test_each_is_a_tuple_that_can_be_written_down_and_read_back(kind: type) -> None:
    assert issubclass(kind, tuple)
    made = kind(*range(len(kind._fields)))  # type: ignore[attr-defined]
    assert made == pickle.loads(pickle.dumps(made))


def test_names_are_told_apart() -> None:
    names = [kind.__name__ for kind in TYPES]
    assert len(names) == len(set(names))
