"""Fuzzers that go on for as long as they are asked to.

`FUZZ_SECONDS=1800 python -m pytest --timeout=0 tests/fuzz/test_fuzz_peer.py` lets every test that
is `lasting` begin anew, with other examples, until half an hour is over. Without the variable each
runs once.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from typing import ParamSpec

P = ParamSpec("P")

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))


def lasting(test: Callable[P, None]) -> Callable[P, None]:
    """A test made by hypothesis, again and again for `SECONDS`."""

    @functools.wraps(test)
    def again(*arguments: P.args, **options: P.kwargs) -> None:
        deadline = time.monotonic() + SECONDS
        test(*arguments, **options)
        while time.monotonic() < deadline:
            test(*arguments, **options)

    return again
