"""OTLP over HTTP with receivers that answer wrongly, late, or not at all."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from ryu_droplog.sinks.delivery import NotAcknowledged, NotSent, Rejected
from ryu_droplog.sinks.otlp_http import HttpExporter
from ryu_droplog.sinks.otlp_options import OtlpOptions

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Peer:
    """Takes connections, reads a request on each, and answers with what it was given."""

    def __init__(self, answers: Sequence[Callable[[socket.socket], None]]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.requests: list[bytes] = []
        self.connections = 0
        self._answers = iter(answers)
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                while self._take(connection):
                    answer = next(self._answers, None)
                    if answer is None:
                        return
                    answer(connection)

    def _take(self, connection: socket.socket) -> bool:
        data = b""
        try:
            while b"\r\n\r\n" not in data:
                piece = connection.recv(65536)
                if not piece:
                    return False
                data += piece
            head, _, body = data.partition(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            while len(body) < length:
                body += connection.recv(65536)
        except OSError:
            return False
        self.requests.append(head + b"\r\n\r\n" + body)
        return True


def says(data: bytes) -> Callable[[socket.socket], None]:
    """Answer so, and keep the connection."""
    return lambda connection: connection.sendall(data)


def says_and_ends(data: bytes) -> Callable[[socket.socket], None]:
    """Answer so, and close the connection."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_RDWR)

    return answer


@contextmanager
def exporter(
    *answers: Callable[[socket.socket], None],
    gives_up: Callable[[], bool] = lambda: False,
    **more: Any,
) -> Iterator[tuple[HttpExporter, Peer]]:
    """An exporter and the peer that it speaks to."""
    peer = Peer(answers)
    made = HttpExporter(OtlpOptions(endpoint=peer.endpoint, **more), gives_up)
    try:
        yield made, peer
    finally:
        made.close()
        peer.close()


def test_connection_is_kept() -> None:
    with exporter(says(GOOD), says(GOOD), compression="none") as (made, peer):
        assert made.export(b"a") == made.export(b"b") == ""
    assert peer.connections == 1
    assert peer.requests[0].startswith(b"POST /v1/logs HTTP/1.1\r\nHost: 127.0.0.1:")
    assert [request[-1:] for request in peer.requests] == [b"a", b"b"]


def test_connection_that_was_closed_meanwhile_is_made_anew() -> None:
    with exporter(says_and_ends(GOOD), says(GOOD)) as (made, peer):
        made.export(b"a")
        made.export(b"b")
    assert peer.connections == 2


def test_receiver_that_wants_no_more_is_left() -> None:
    good = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    with exporter(says_and_ends(good), says(GOOD)) as (made, peer):
        made.export(b"a")
        made.export(b"b")
    assert peer.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 20",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x00" * 70_000,
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ],
)
def test_answer_that_is_none_leaves_it_open(answer: bytes) -> None:
    with exporter(says_and_ends(answer), says(GOOD)) as (made, peer):
        with pytest.raises((NotAcknowledged, OSError)):
            made.export(b"a")
        assert made.export(b"b") == ""
    assert peer.connections == 2


def test_receiver_that_does_not_answer_is_waited_for_no_longer_than_asked() -> None:
    silent = exporter(lambda connection: None, timeout=1.0)
    with silent as (made, _), pytest.raises(TimeoutError, match="does not answer"):
        made.export(b"a")


def test_sink_that_gives_up_does_not_wait() -> None:
    asked: list[float] = []

    def gives_up() -> bool:
        asked.append(1.0)
        return len(asked) > 2

    silent = exporter(lambda connection: None, gives_up=gives_up, timeout=300.0)
    with silent as (made, _), pytest.raises(TimeoutError, match="given up"):
        made.export(b"a")


def test_nobody_there_is_not_sent() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(NotSent, match="refused"):
            HttpExporter(OtlpOptions(endpoint=endpoint), lambda: False).export(b"a")


def test_redirection_is_no_success() -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with exporter(says(answer)) as (made, _), pytest.raises(Rejected, match="302"):
        made.export(b"a")


def test_retry_after_is_obeyed() -> None:
    answer = b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
    with exporter(says(answer)) as (made, _), pytest.raises(NotSent) as error:
        made.export(b"a")
    assert error.value.after == 7.0


def test_request_that_is_large_is_sent_whole() -> None:
    with exporter(says(GOOD), compression="none") as (made, peer):
        made.export(b"x" * 5_000_000)
    assert len(peer.requests[0].partition(b"\r\n\r\n")[2]) == 5_000_000
