"""What explains a drop: found by its bridge, whatever the owner's code does."""

from __future__ import annotations

from collections.abc import Callable
from threading import Barrier, Thread
from typing import Any

import pytest
from drops import drop, location

from ryu_droplog.model.drop import Drop
from ryu_droplog.owners.base import Explanation, Names, Owner
from ryu_droplog.owners.explanations import Explanations


class Acme(Owner):
    """An owner that says what it is made to say."""

    name = "acme"

    def __init__(self, says: Callable[[Drop, Names], Any]) -> None:
        self._says = says

    def explain(self, drop: Drop, names: Names) -> Explanation:
        told: Explanation = self._says(drop, names)
        return told


def on(bridge: str) -> Drop:
    return drop(where=location(bridge=bridge))


def says(text: str) -> Acme:
    return Acme(lambda drop, names: {"why": text})


def fails(drop: Drop, names: Names) -> Any:
    raise ValueError("no \x1b[2J such\nkey")


def test_drop_is_explained_by_the_owner_of_its_bridge() -> None:
    explanations = Explanations()
    explanations.set("br0", says("zero"), Names())
    explanations.set("br1", Acme(lambda drop, names: {"port": names.ports[3]}), Names({3: "tap"}))
    assert {"why": "zero"} == explanations.explain(on("br0"))
    assert {"port": "tap"} == explanations.explain(on("br1"))
    assert {} == explanations.explain(on("br2"))


def test_names_learnt_later_count() -> None:
    explanations, names = Explanations(), Names()
    explanations.set("br0", Acme(lambda drop, names: {"port": names.ports.get(3, "")}), names)
    names.ports = {3: "tap"}
    assert {"port": "tap"} == explanations.explain(on("br0"))


@pytest.mark.parametrize("order", [(True, False), (False, True)])
def test_bridge_that_was_seen_goes_before_one_that_is_assumed(order: tuple[bool, bool]) -> None:
    explanations, names = Explanations(), Names()
    for assumed in order:
        text = "assumed" if assumed else "seen"
        explanations.set("br0", says(text), names, assumed=assumed)
    assert {"why": "seen"} == explanations.explain(on("br0"))
    explanations.forget("br0", names)
    assert {"why": "assumed"} == explanations.explain(on("br0"))


def test_bridge_that_is_somebody_elses_by_now_is_not_forgotten() -> None:
    explanations, before = Explanations(), Names()
    explanations.set("br0", says("before"), before)
    explanations.set("br0", says("now"), Names())
    explanations.forget("br0", before)
    explanations.forget("br1", before)
    assert {"why": "now"} == explanations.explain(on("br0"))


@pytest.mark.parametrize(
    "mistake",
    [
        fails,
        lambda drop, names: None,
        lambda drop, names: ["why"],
        lambda drop, names: {"why": None},
        lambda drop, names: {7: "why"},
    ],
)
def test_mistake_costs_the_explanation_alone_and_is_said_once(mistake: Any) -> None:
    explanations = Explanations()
    explanations.set("br0", Acme(mistake), Names())
    explanations.set("br1", says("one"), Names())
    for _ in range(3):
        assert {} == explanations.explain(on("br0"))
    assert {"why": "one"} == explanations.explain(on("br1"))
    assert 3 == explanations.failures
    [notice] = explanations.notices
    assert notice.startswith("br0: owner acme cannot explain a drop: ")
    assert notice.isprintable()


def test_mistakes_in_many_threads_are_all_counted() -> None:
    explanations, together = Explanations(), Barrier(8)
    explanations.set("br0", Acme(fails), Names())

    def explain() -> None:
        together.wait()
        for _ in range(500):
            explanations.explain(on("br0"))

    threads = [Thread(target=explain) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 4000 == explanations.failures
    assert 1 == len(explanations.notices)
