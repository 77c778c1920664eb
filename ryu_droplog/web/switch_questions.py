"""What is asked of the switch for the page: by other processes, one at a time, and only read.

They speak OpenFlow with os-ken, whose hub does not go with a web server in one process.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ryu_droplog.model.errors import DropLogError
from ryu_droplog.records.json_text import to_json
from ryu_droplog.records.record import Record
from ryu_droplog.text.printable import MESSAGE, plain_data, printable

PATIENCE = 60.0
"""Seconds that an answer may take."""
WAITING = 4
"""Questions that wait at most."""
FRESH = 10.0
"""Seconds for which a pipeline that was read is told again."""
ANSWER = 64 * 1024 * 1024
"""Bytes of an answer at most."""


class NoAnswerError(DropLogError):
    """The switch could not be asked."""


class SwitchQuestions:
    """Asks; for the event loop alone."""

    def __init__(self, config: str | None) -> None:
        """`config` is the path of droplog.yaml; None: the defaults."""
        self._config = ("--config", config or "")
        self._one = asyncio.Lock()
        self._waiting = 0
        self._pipelines: Any = None
        self._read_at = float("-inf")

    async def explain(self, record: Record) -> Any:
        """What `ryu-droplog explain --output json` says of a drop; raises NoAnswerError."""
        words = ("-m", "ryu_droplog", "explain", "-", "--output", "json", *self._config)
        return await self._ask(words, to_json(record) + b"\n")

    async def pipelines(self) -> Any:
        """The pipelines of the bridges of the configuration, as `flow_graph` has them.

        Raises NoAnswerError.
        """
        if time.monotonic() > self._read_at + FRESH:
            words = ("-m", "ryu_droplog.web.pipelines_process", *self._config)
            self._pipelines = await self._ask(words, b"")
            self._read_at = time.monotonic()
        return self._pipelines

    async def _ask(self, words: Sequence[str], given: bytes) -> Any:
        if self._waiting >= WAITING:
            raise NoAnswerError("the switch is being asked by others; try again")
        self._waiting += 1
        try:
            async with self._one:
                return await self._run(words, given)
        finally:
            self._waiting -= 1

    async def _run(self, words: Sequence[str], given: bytes) -> Any:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, *words, stdin=pipe, stdout=pipe, stderr=pipe
        )
        try:
            said, errors = await asyncio.wait_for(process.communicate(given), PATIENCE)
        except (asyncio.TimeoutError, TimeoutError):
            raise NoAnswerError(f"no answer within {PATIENCE:.0f} s") from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        try:
            return plain_data(json.loads(said))
        except (ValueError, RecursionError):
            lines = errors.decode("utf-8", "replace").strip().splitlines() or ["no answer"]
            raise NoAnswerError(printable(lines[-1], MESSAGE)) from None
