"""Retry-After and back-off: how long to wait."""

from __future__ import annotations

import pytest

from ryu_droplog.k8s_events.api import retry_after


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("0", 0.0),
        (" 30 ", 30.0),
        ("601", 600.0),
        ("9" * 500, 600.0),
        ("Tue, 20 Feb 2024 08:00:00 GMT", 44.0),
        ("Tue, 20 Feb 2024 07:00:00 GMT", 0.0),
        ("Tue, 20 Feb 2034 07:00:00 GMT", 600.0),
        ("Tue, 99 Feb 2024 07:00:00 GMT", None),
        ("1.5", None),
        ("-1", None),
        ("\u0663", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_within_bounds(text: str | None, expected: float | None) -> None:
    assert expected == retry_after(text, lambda: 1_708_415_956.0)
