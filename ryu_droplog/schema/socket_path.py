"""The path of a Unix socket."""

from __future__ import annotations

import os

_LONGEST = 107
"""Bytes that it may have: sun_path without its final NUL (unix(7))."""


def check_socket_path(path: str) -> None:
    """Raise ValueError for what is no path of a Unix socket; its text says what was expected."""
    if not path.startswith("/") or not path.isprintable():
        raise ValueError("the absolute path of a socket")
    if len(os.fsencode(path)) > _LONGEST:
        raise ValueError(f"the path of a socket in at most {_LONGEST} bytes (unix(7))")
