"""What is shown, sent to browsers as it changes: server-sent events (WHATWG HTML, section 9.2).

All who look through the same filter at the same time get the same bytes, made once. Each browser
has a queue of its own; one that takes nothing loses what is oldest there, and is told how much.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import NamedTuple

import msgspec

from ryu_droplog.web.history import Span
from ryu_droplog.web.live import Live, TooManyError
from ryu_droplog.web.question import Question
from ryu_droplog.web.view import View

PAUSE = 0.5
"""Seconds between two looks whether there is anything new."""
RESTING = 10
"""Looks after which what is shown is told even where nothing came: rates become less."""
QUEUE = 4
"""Events that wait for a browser at most."""
BROWSERS = 100
"""At most."""
SILENCE = 15.0
"""Seconds after which a browser is sent a comment, so that whoever is between keeps the line."""

LOG = logging.getLogger(__name__)
_ENCODER = msgspec.json.Encoder()


class _Browser:
    """One that looks."""

    def __init__(self) -> None:
        self.waiting: deque[bytes] = deque()
        self.missed = 0
        self.called = asyncio.Event()

    def offer(self, event: bytes) -> None:
        if len(self.waiting) >= QUEUE:
            self.waiting.popleft()
            self.missed += 1
        self.waiting.append(event)
        self.called.set()


class _Show(NamedTuple):
    """What some browsers look at."""

    view: View
    span: Span
    browsers: set[_Browser]
    task: asyncio.Task[None]


class Updates:
    """Makes what is shown, while anybody looks."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._shows: dict[bytes, _Show] = {}
        self._mistaken = False

    @property
    def browsers(self) -> int:
        """How many look."""
        return sum(len(show.browsers) for show in self._shows.values())

    async def follow(self, question: Question) -> AsyncIterator[bytes]:
        """The events for one browser; raises TooManyError, QueryError before the first."""
        if self.browsers >= BROWSERS:
            raise TooManyError(f"more than {BROWSERS} browsers at the same time")
        browser = _Browser()
        show = self._open(question)
        show.browsers.add(browser)
        try:
            yield b"retry: 2000\n\n"
            while True:
                with suppress(asyncio.TimeoutError, TimeoutError):
                    await asyncio.wait_for(browser.called.wait(), SILENCE)
                browser.called.clear()
                if not browser.waiting:
                    yield b": still here\n\n"
                if browser.missed:
                    yield _event("missed", {"updates": browser.missed})
                while browser.waiting:
                    yield browser.waiting.popleft()
        finally:
            show.browsers.discard(browser)
            if not show.browsers and self._shows.get(question.key) is show:
                del self._shows[question.key]
                show.task.cancel()
                self._live.close_view(question.filter_key)

    def _open(self, question: Question) -> _Show:
        show = self._shows.get(question.key)
        if show is None:
            view = self._live.open_view(question.filter_key, question.conditions)
            browsers: set[_Browser] = set()
            task = asyncio.get_running_loop().create_task(
                self._tell(view, question.span, browsers), name="what is shown"
            )
            show = self._shows[question.key] = _Show(view, question.span, browsers, task)
        return show

    async def _tell(self, view: View, span: Span, browsers: set[_Browser]) -> None:
        told: object = None
        newcomers: set[_Browser] = set()
        rested = 0
        while True:
            live = self._live
            state = (view.version, live.lost, live.trouble, live.ended)
            rested += 1
            if state != told or rested >= RESTING or browsers - newcomers:
                told, rested, newcomers = state, 0, set(browsers)
                try:
                    shown = await asyncio.to_thread(live.shown, view, span)
                    event = _event("shown", shown)
                except Exception:
                    if not self._mistaken:
                        LOG.exception("what is shown cannot be made")
                    self._mistaken = True
                else:
                    for browser in browsers:
                        browser.offer(event)
            await asyncio.sleep(PAUSE)


def _event(kind: str, data: object) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), _ENCODER.encode(data))
