"""A token that somebody else renews in a file, read again in time.

The official client reads the `tokenFile` of a kubeconfig once. Tokens of service accounts end
after an hour or less, so the file is read again every minute, as client-go does (transport/
token_source.go), and as soon as the API server refuses the token.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

PERIOD = 60.0
"""Seconds after which the file is read again."""
MAX_SIZE = 1 << 20
"""Bytes that are read of it."""
_NAMES = ("BearerToken", "authorization")
"""What the releases of the client call the token among their keys."""


class TokenFile:
    """The `refresh_api_key_hook` of a kubernetes.client.Configuration, called by each request."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._next = float("-inf")

    def __call__(self, configuration: Any) -> None:
        """Give the configuration the token; one that cannot be read leaves the last one there."""
        now = self._clock()
        if now < self._next:
            return
        try:
            token = _read(self._path)
        except (OSError, ValueError):  # it is being replaced: the next request looks again
            return
        if token:
            self._next = now + PERIOD
            for name in _NAMES:
                if name in configuration.api_key:
                    configuration.api_key[name] = f"Bearer {token}"

    def expire(self) -> None:
        """Have the next request read it: the API server took the token no more."""
        self._next = float("-inf")


def _read(path: Path) -> str:
    # Whatever stands there, this must not wait for it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        return (file.read(MAX_SIZE) or b"").decode("ascii").strip()


def token_file(kubeconfig: str) -> Path | None:
    """Where the user of the current context has its token; None: not in a file.

    `kubeconfig` is one path or several, with colons between, of which the first that names
    something counts. Raises OSError, and whatever an odd file leads to.
    """
    context = ""
    contexts: dict[str, Any] = {}
    users: dict[str, tuple[Any, Path]] = {}
    for path in reversed(
        [Path(part).expanduser() for part in kubeconfig.split(os.pathsep) if part]
    ):
        if not path.exists():
            continue
        data = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        context = data.get("current-context") or context
        contexts.update({each["name"]: each["context"] for each in data.get("contexts") or ()})
        users.update({each["name"]: (each["user"], path) for each in data.get("users") or ()})
    user, where = users.get(contexts.get(context, {}).get("user"), (None, Path()))
    if not user or "auth-provider" in user or not user.get("tokenFile"):
        return None
    return where.parent.absolute() / str(user["tokenFile"])
