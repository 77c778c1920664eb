"""The thread that reads records, and goes on when their place was away."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

from ryu_droplog.observe.query import QueryError
from ryu_droplog.observe.stream import Lost, Said, Unreadable
from ryu_droplog.records.record import Record
from ryu_droplog.web.live import Live

LOG = logging.getLogger(__name__)

PAUSE = 2.0
"""Seconds between two tries to reach the place."""

Source = Callable[[float | None], Iterator[Said]]
"""(seconds to look back, None: as far as is useful) -> records, and those to come."""


class Reader:
    """Reads from a source."""

    def __init__(self, source: Source, live: Live, *, lasting: bool) -> None:
        """`lasting`: the source has no end, and where it ends it is asked again."""
        self._source = source
        self._live = live
        self._lasting = lasting

    def start(self) -> None:
        """Begin, for as long as the process runs."""
        threading.Thread(target=self._run, name="records", daemon=True).start()

    def _run(self) -> None:
        seen: float | None = None
        while True:
            asked = time.monotonic()
            trouble = "the place of the records has ended"
            try:
                self._read(None if seen is None else asked - seen)
            except QueryError as error:
                trouble = str(error)
            else:
                if not self._lasting:
                    self._live.ended = True
                    return
            if not self._live.trouble:
                seen = time.monotonic()
            self._live.trouble = trouble
            time.sleep(PAUSE)

    def _add(self, record: Record) -> None:
        try:
            self._live.add(record)
        except Exception:
            if not self._live.unreadable:
                LOG.exception("a record cannot be shown")
            self._live.unreadable += 1

    def _read(self, back: float | None) -> None:
        live = self._live
        records: Any = self._source(back)
        with closing(records):
            for said in records:
                if isinstance(said, Record):
                    live.trouble = ""
                    self._add(said)
                elif isinstance(said, Lost):
                    live.lost += said.number
                elif isinstance(said, Unreadable):
                    live.unreadable += 1
                else:
                    live.trouble = ""
