"""An API server that misbehaves: a small scripted HTTP server.

A real one cannot be told to refuse, to hang, to cut a watch in the middle of a line or to answer
with garbage, so this one stands in for it; what a real one does is tested with a real one.
"""

from __future__ import annotations

import json
import socket
import threading
import time
import zlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers as the script says; what is asked is kept in the server's `asked`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: OddServer

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        options = {key: values[0] for key, values in parse_qs(url.query).items()}
        if "/events/" in url.path:
            self._play("read", {})
        else:
            self._play("watch" if options.get("watch") else "list", options)

    def do_POST(self) -> None:
        self._play("create", self._body())

    def do_PATCH(self) -> None:
        self._play("patch", self._body())

    def _body(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return read

    def _play(self, what: str, told: dict[str, Any]) -> None:
        answer = self.server.next(what, self.path, told)
        try:
            answer(self)
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        return


class OddServer(ThreadingHTTPServer):
    """Plays scripts: for each kind of request its answers, the last of them for ever."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int = 0, **scripts: list[Answer]) -> None:
        """Kinds are `list`, `watch`, `create`, `patch` and `read`."""
        super().__init__(("127.0.0.1", port), Handler)
        self.scripts = scripts
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.at: list[float] = []
        self.ending = threading.Event()
        self._lock = threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def next(self, what: str, path: str, told: dict[str, Any]) -> Answer:
        with self._lock:
            self.asked.append((what, path, told))
            self.at.append(time.monotonic())
            script = self.scripts.get(what) or [_default(what)]
            return script.pop(0) if len(script) > 1 else script[0]

    def kinds(self) -> list[str]:
        """What was asked, in order."""
        return [what for what, _, _ in self.asked]

    def bodies(self, kind: str) -> list[dict[str, Any]]:
        return [told for what, _, told in self.asked if what == kind]

    def end(self) -> None:
        self.ending.set()
        self.shutdown()
        self.server_close()


def _default(what: str) -> Answer:
    return {
        "list": pods("1"),
        "watch": quiet(),
        "create": json_answer(201, {}),
        "patch": json_answer(200, {}),
        "read": refuse(404),
    }[what]


def json_answer(status: int, body: object, **headers: str) -> Answer:
    return raw(status, json.dumps(body).encode(), **headers)


def raw(status: int, body: bytes, **headers: str) -> Answer:
    def answer(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def refuse_without_end(handler: Handler) -> None:
    """A refusal that compresses well, and does not end while the client reads."""
    packed = zlib.compressobj(wbits=31)  # RFC 1952, gzip
    handler.wfile.write(b"HTTP/1.1 500 no\r\nContent-Encoding: gzip\r\n\r\n")
    while not handler.server.ending.is_set():
        handler.wfile.write(packed.compress(bytes(1 << 24)))


def refuse(status: int, message: str = "no", cause: str | None = None, **headers: str) -> Answer:
    """A refusal as an API server words it (Status in meta/v1)."""
    details = {"causes": [{"reason": cause}]} if cause else {}
    body = {"kind": "Status", "code": status, "message": message, "details": details}
    return json_answer(status, body, **headers)


def pods(version: str, *items: dict[str, Any]) -> Answer:
    return json_answer(200, {"metadata": {"resourceVersion": version}, "items": items})


def pod(name: str, version: str, *addresses: str, phase: str = "Running") -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-of-{name}",
            "resourceVersion": version,
            "creationTimestamp": "2024-02-20T07:00:00Z",
        },
        "spec": {},
        "status": {"phase": phase, "podIPs": [{"ip": address} for address in addresses]},
    }


def change(kind: str, item: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": item}).encode() + b"\n"


def watch(*parts: bytes, cut: bool = False, wait: bool = False) -> Answer:
    """A watch that says these bytes, a chunk each; it is cut off, or waits, instead of its end."""

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for part in parts:
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
        handler.wfile.flush()
        if wait:
            handler.server.ending.wait()
        elif not cut:
            handler.wfile.write(b"0\r\n\r\n")
            return
        handler.close_connection = True

    return answer


def quiet() -> Answer:
    return watch(wait=True)


def hang() -> Answer:
    """No answer at all."""

    def answer(handler: Handler) -> None:
        handler.server.ending.wait()
        handler.close_connection = True

    return answer


def trickle(*parts: bytes, then: bytes = b"a", pause: float = 0.1) -> Answer:
    """These bytes, headers too, and then a byte now and then, without end."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(b"".join(parts))
        while not handler.server.ending.wait(pause):
            handler.wfile.write(then)
        handler.close_connection = True

    return answer


def cut_off() -> Answer:
    """The connection ends without an answer."""

    def answer(handler: Handler) -> None:
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True

    return answer


def unheard(then: Callable[[], None] = lambda: None) -> Answer:
    """The request is carried out, and the answer lost."""

    def answer(handler: Handler) -> None:
        then()
        cut_off()(handler)

    return answer
