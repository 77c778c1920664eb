"""One question to a daemon of Open vSwitch over its Unix socket, JSON-RPC 1.0 (RFC 7047 section 4).

Not the `ovs` library: its `transact_block` waits for ever for a daemon that hangs.
"""

from __future__ import annotations

import json
import socket
from typing import Any

from ryu_droplog.errors import SwitchError, why

PATIENCE = 3.0
"""Seconds that a daemon has for each step of its answer."""
ANSWER_SIZE = 16 * 1024 * 1024
"""Bytes that an answer has at most."""


def encode(method: str, params: list[Any]) -> bytes:
    """The bytes of a request."""
    return json.dumps({"method": method, "params": params, "id": 0}).encode()


def call(path: str, method: str, params: list[Any]) -> Any:
    """The result that the daemon at the socket `path` answers.

    Raises SwitchError when it is not there, does not answer in time, or answers with an error.
    """
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(path)
            sock.sendall(encode(method, params))
            while (reply := _whole(answer)) is None:
                chunk = sock.recv(65536)
                if not chunk or len(answer) > ANSWER_SIZE:
                    raise SwitchError(f"unix:{path}: the answer is cut")
                answer += chunk
    except OSError as error:
        raise SwitchError(f"unix:{path}: {why(error)}") from error
    if reply.get("error"):
        raise SwitchError(f"unix:{path}: {method} is refused: {reply['error']}")
    return reply.get("result")


def _whole(answer: bytes) -> dict[str, Any] | None:
    """The JSON object, once all of it is there."""
    try:
        reply = json.loads(answer)
    except ValueError:
        return None
    return reply if isinstance(reply, dict) else None
