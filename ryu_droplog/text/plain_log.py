"""The program's own log: a record is one line, whatever text of others is in it, and bounded.

Names are made fit where they enter the program (`printable.py`). This is for what slips through:
the text of an exception, a message of a library.
"""

from __future__ import annotations

import copy
import logging
import sys
from collections.abc import Iterable

from ryu_droplog.text.log_quota import Quota
from ryu_droplog.text.printable import escape, plain

INDENT = "    "
"""Before the lines of a traceback, so that none of them reads like a record of its own."""
OURS = ("ryu_droplog", "os_ken")
"""Loggers whose records are guarded where other applications share the process."""


class PlainFormatter(logging.Formatter):
    """Another formatter's text, without what a terminal obeys."""

    def __init__(self, inner: logging.Formatter, loggers: tuple[str, ...] | None = None) -> None:
        """`loggers`: by the first part of their names; those of others stay as they are."""
        super().__init__()
        self._inner = inner
        self._loggers = loggers

    def format(self, record: logging.LogRecord) -> str:
        """The message on one line, and a traceback in indented ones below it."""
        if self._loggers is not None and record.name.partition(".")[0] not in self._loggers:
            return self._inner.format(record)
        # A copy: other handlers of the record have formatters of their own.
        plain_record = copy.copy(record)
        suppressed = getattr(record, "suppressed", 0)
        more = f" ({suppressed} more such lines were suppressed)" if suppressed else ""
        plain_record.msg, plain_record.args = escape(record.getMessage()) + more, None
        return plain(self._inner.format(plain_record)).replace("\n", f"\n{INDENT}")


def set_up(*, verbose: bool) -> None:
    """Have the log of a command of ours on standard error."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        stream=sys.stderr,
    )
    guard(logging.getLogger().handlers)


def guard(handlers: Iterable[logging.Handler], loggers: tuple[str, ...] | None = None) -> None:
    """Put a PlainFormatter before the formatter of each handler, and a Quota before the handler.

    Those that have them keep them.
    """
    for handler in handlers:
        if not isinstance(handler.formatter, PlainFormatter):
            handler.setFormatter(PlainFormatter(handler.formatter or logging.Formatter(), loggers))
            handler.addFilter(Quota())
