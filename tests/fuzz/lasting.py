"""Fuzzers that go on for as long as they are asked to.

`FUZZ_SECONDS=1800 python -m pytest --timeout=0 tests/fuzz/test_fuzz_peer.py` lets every test that
is `lasting` begin anew, with other examples, until half an hour is over. Without the variable each
runs once.

`FUZZ_SHARE=0.1` makes a tenth of the examples: tools/test asks for that where the same tests only
see another Python, and says so.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from typing import ParamSpec

P = ParamSpec("P")

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
SHARE = float(os.environ.get("FUZZ_SHARE", "1"))


def examples(count: int) -> int:
    """That part of so many examples which `SHARE` says, and at least one."""
    return max(1, round(count * SHARE))


def lasting(test: Callable[P, None]) -> Callable[P, None]:
    """A test made by hypothesis, again and again for `SECONDS`."""

    @functools.wraps(test)
    def again(*arguments: P.args, **options: P.kwargs) -> None:
        deadline = time.monotonic() + SECONDS
        test(*arguments, **options)
        while time.monotonic() < deadline:
            test(*arguments, **options)

    return again
