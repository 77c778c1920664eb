"""Questions that nobody waits for."""

from __future__ import annotations

import time

import pytest
from os_ken.lib import hub

from ryu_droplog.concurrency.background_question import BackgroundQuestion
from ryu_droplog.ovsdb.miss_controller import ASK_AGAIN, MissAnswer

PATIENCE = 10.0


def test_wishes_that_come_meanwhile_are_met_by_one_question_more() -> None:
    begun, go_on = hub.Queue(), hub.Queue()
    asked = []

    def question() -> None:
        asked.append(time.monotonic())
        begun.put(True)
        assert go_on.get(timeout=PATIENCE)

    aside = BackgroundQuestion(question, spacing=0.2)
    aside.ask()
    assert begun.get(timeout=PATIENCE)
    for _ in range(100):
        aside.ask()
    go_on.put(True)
    assert begun.get(timeout=PATIENCE)
    go_on.put(True)
    with pytest.raises(hub.QueueEmpty):
        begun.get(timeout=0.5)
    assert 2 == len(asked)
    assert 0.2 <= asked[1] - asked[0]


def test_question_that_fails_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    asked = hub.Queue()

    def question() -> None:
        asked.put(True)
        raise ValueError("no answer")

    aside = BackgroundQuestion(question, spacing=0.0)
    for number in range(1, 4):
        aside.ask()
        assert asked.get(timeout=PATIENCE)
        deadline = time.monotonic() + PATIENCE
        while caplog.text.count("no answer") < number and time.monotonic() < deadline:
            hub.sleep(0.01)


def test_rest_between_two_questions_ends_with_stop() -> None:
    asked = hub.Queue()
    aside = BackgroundQuestion(lambda: asked.put(True), spacing=1000.0)
    aside.ask()
    assert asked.get(timeout=PATIENCE)
    aside.ask()
    aside.stop()
    deadline = time.monotonic() + PATIENCE
    while aside.asking and time.monotonic() < deadline:
        hub.sleep(0.01)
    assert not aside.asking
    aside.ask()
    with pytest.raises(hub.QueueEmpty):
        asked.get(timeout=0.2)


def test_answer_that_differs_is_told_and_asked_for_again_after_a_while() -> None:
    answers, told = [False, True], hub.Queue()
    misses = MissAnswer(lambda: answers.pop(0), lambda: told.put(True), clock=lambda: 5.0)
    misses.ask_now()
    assert not misses.asks
    assert float("inf") == misses.due()
    misses.ask()
    assert told.get(timeout=PATIENCE)
    assert misses.asks
    assert 5.0 + ASK_AGAIN == misses.due()
