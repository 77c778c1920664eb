"""News wait in order, and no more of them than there is room for."""

from __future__ import annotations

import pytest
from os_ken.lib import hub

from ryu_droplog.model.errors import SwitchError
from ryu_droplog.openflow.flow_stats import Event, Update
from ryu_droplog.reconcile import changes, inbox
from ryu_droplog.reconcile.changes import Changes
from ryu_droplog.reconcile.inbox import Inbox


def test_news_come_in_order_of_whoever() -> None:
    waiting = Inbox()
    waiting.put("ours")
    waiting.put_of_switch(b"theirs", 6)
    waiting.put(None)
    assert ["ours", b"theirs", None] == [waiting.get(0) for _ in range(3)]
    for seconds in (0, 0.01):
        with pytest.raises(hub.QueueEmpty):
            waiting.get(seconds)


def test_switch_that_tells_more_than_can_be_followed_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inbox, "MOST_WAITING", 3000)
    waiting = Inbox()
    for _ in range(3):
        waiting.put_of_switch(bytes(900), 900)
    with pytest.raises(SwitchError, match="faster than they can be followed"):
        waiting.put_of_switch(b"", 0)
    waiting.put("ours has room")
    waiting.get(0)
    waiting.put_of_switch(bytes(900), 900)


def change(table_id: int, priority: int, size: int = 0) -> Update:
    return Update(Event.ADDED, table_id, priority, 0, bytes(size), b"")


def test_changes_are_told_of_their_table_until_they_are_forgotten() -> None:
    known = Changes()
    known.note(change(4, 7))
    assert known.any(4, lambda update: update.priority == 7)
    assert not known.any(4, lambda update: update.priority == 8)
    assert not known.any(5, lambda update: True)
    known.clear()
    assert not known.any(4, lambda update: True)


@pytest.mark.parametrize("size", [0, 60_000])
def test_more_changes_than_there_is_room_for_may_be_anything(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MOST_BYTES", 6_000_000)
    known = Changes()
    known.note(change(5, 1))
    for number in range(1001):
        known.note(change(4, number, size))
    assert known.any(4, lambda update: False)
    assert not known.any(5, lambda update: False)
