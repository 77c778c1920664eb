"""A database server that misbehaves: what it sends is scripted, its socket is real.

ovsdb-server itself cannot be told to trickle, to send garbage or to be full of hostile names; what
a real one says is tested with a real one.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

Script = Callable[[socket.socket, "OddDatabase"], None]
"""What is done with a connection, which is closed behind it."""


class OddDatabase:
    """Listens at a Unix socket until the end of a `with` block, and plays a script to each."""

    def __init__(self, path: Path, script: Script) -> None:
        self.address = f"unix:{path}"
        self.ending = threading.Event()
        self.asked: list[Any] = []
        """Requests that scripts have read."""
        self.visits = 0
        self._script = script
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> OddDatabase:
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        while not self.ending.is_set():
            try:
                visitor = self._socket.accept()[0]
            except OSError:
                return
            self.visits += 1
            threading.Thread(target=self._play, args=(visitor,), daemon=True).start()

    def _play(self, visitor: socket.socket) -> None:
        with visitor, suppress(OSError):
            self._script(visitor, self)


def request(visitor: socket.socket, server: OddDatabase) -> Any:
    """Read one request, which comes as a whole: it is small, or parses only then."""
    held = b""
    while data := visitor.recv(65536):
        held += data
        with suppress(ValueError):
            asked = json.loads(held)
            server.asked.append(asked)
            return asked
    raise OSError("the visitor went away")


def says(*parts: bytes, pause: float = 0.0, then: Script | None = None) -> Script:
    """Reads a request, and sends these bytes with pauses between; then does what is asked."""

    def script(visitor: socket.socket, server: OddDatabase) -> None:
        request(visitor, server)
        for part in parts:
            visitor.sendall(part)
            server.ending.wait(pause)
        (then or waits)(visitor, server)

    return script


def waits(visitor: socket.socket, server: OddDatabase) -> None:
    """Say nothing more, and stay."""
    server.ending.wait()


def leaves(visitor: socket.socket, server: OddDatabase) -> None:
    """End the connection."""


def for_ever(part: bytes, pause: float = 0.0) -> Script:
    """Sends this again and again."""

    def script(visitor: socket.socket, server: OddDatabase) -> None:
        while not server.ending.wait(pause):
            visitor.sendall(part)

    return script


def replies(result: Any, error: Any = None) -> Script:
    """The reply to every request, as JSON-RPC has it."""
    return answers(lambda asked: result, error)


def answers(result: Callable[[Any], Any], error: Any = None) -> Script:
    """The same, with a result that depends on the request."""

    def script(visitor: socket.socket, server: OddDatabase) -> None:
        while True:
            asked = request(visitor, server)
            reply = {"id": asked["id"], "result": result(asked), "error": error}
            visitor.sendall(json.dumps(reply).encode())

    return script


def tables(content: Mapping[str, list[dict[str, Any]]]) -> Script:
    """A database with these rows: `select` answers all of a table, whatever is asked for.

    Nothing ever changes for who follows it.
    """

    def result(asked: Any) -> Any:
        if asked["method"] == "monitor":
            return {}
        return [{"rows": content.get(each["table"], [])} for each in asked["params"][1:]]

    return answers(result)


HOSTILE: dict[str, Script] = {
    "a byte a second": for_ever(b" ", 1.0),
    "an object, a byte a second": says(b'{"', then=for_ever(b"a", 1.0)),
    "endless spaces": for_ever(b" " * 65536),
    "endless closing brackets": for_ever(b"}" * 65536),
    "endless objects": for_ever(b"{}" * 32768),
    "endless replies to others": for_ever(b'{"id":7,"result":[],"error":null}' * 1000),
    "endless questions": for_ever(b'{"id":"echo","method":"echo","params":[]}' * 1000),
    "endless brackets in one": says(b'{"a":', then=for_ever(b"[]" * 32768)),
    "200,000 levels": says(b'{"a":' * 200_000 + b"1" + b"}" * 200_000),
    "200,000 lists": says(b'{"id":0,"result":' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
    "an endless text": says(b'{"id":0,"result":"', then=for_ever(b"a" * 65536)),
    "endless escapes": says(b'{"id":0,"result":"', then=for_ever(b"\\" * 65536)),
    "a number of a million digits": says(b'{"id":0,"result":' + b"9" * 1_000_000 + b"}"),
    "nothing": waits,
    "the end": leaves,
    "half an answer": says(b'{"id":0,"result":[', then=leaves),
    "no JSON": says(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "brackets that do not fit": says(b'{"id":0,"result":[}'),
    "no UTF-8": says(b'{"id":0,"\xff\xfe":1,"result":"\xff","error":null}'),
    "a refusal": replies(None, {"error": "unknown database", "details": "\x1b[2J\nforged"}),
    "a result of another kind": replies("text"),
    "no result": replies(None),
    "results that are no objects": replies([7, [], "x"]),
    "an error in the result": replies([{"error": "x\x1b[2J\n", "details": ["\n"] * 9}]),
    "objects without rows": replies([{}, {}, {}]),
    "rows of another kind": replies([{"rows": {"a": 1}}] * 3),
    "rows of texts": replies([{"rows": ["x"]}] * 3),
    "too many results": replies([{"rows": []}] * 1000),
}
"""What a server can do to keep, break or fool whoever asks it, by what it does."""
