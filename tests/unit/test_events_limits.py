"""An API server that takes its time with an answer, and tokens that are renewed in a file."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import Configuration
from odd_server import Answer, OddServer, pods, refuse, refuse_without_end, trickle, watch

from ryu_droplog.k8s_events.api import READ_TIMEOUT, AnswerTimeout, Api, ApiError, connect
from ryu_droplog.k8s_events.pending import Key, PostedEvent, body
from ryu_droplog.k8s_events.tokenfile import PERIOD, TokenFile, token_file

WITHIN = 0.5
"""Seconds of a request in these tests; 15 in earnest."""
PATIENCE = 30.0
"""Seconds more that a busy machine may take; what is not given up would never end."""
HEAD = b"HTTP/1.1 200 OK\r\n"
EVENT = body(
    Key("default", "web", "u", "r", "m"),
    PostedEvent(1, "2024-02-20T07:59:16Z", "2024-02-20T07:59:16Z"),
    "n1",
)
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

TRICKLES = {
    "spaces": trickle(then=b" "),
    "status line": trickle(b"HTTP/1.1 2"),
    "one header": trickle(HEAD, b"X-A: "),
    "headers": trickle(HEAD, then=b"X-A: b\r\n"),
    "a body of known length": trickle(HEAD, b"Content-Length: 100000\r\n\r\n"),
    "a body of unknown length": trickle(HEAD, b"Connection: close\r\n\r\n", b'{"items": ['),
    "chunks": trickle(CHUNKED, then=b"1\r\na\r\n"),
    "a chunk": trickle(CHUNKED, b"186A0\r\n"),
    "the length of a chunk": trickle(CHUNKED, then=b"0"),
    "a refusal": trickle(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100000\r\n\r\n"),
    "a hundred and again": trickle(then=b"HTTP/1.1 100 Continue\r\n\r\n"),
}

ASK: dict[str, Callable[[Api], Any]] = {
    "list": lambda api: api.list_pods("n1", None),
    "read": lambda api: api.read_event("default", "x"),
}


@pytest.fixture
def server() -> Iterator[OddServer]:
    started = OddServer()
    yield started
    started.end()


def api_of(server: OddServer, watch_silence: float = 90.0) -> Api:
    configuration = Configuration()
    configuration.host = server.url
    return Api(configuration, read_timeout=WITHIN, watch_silence=watch_silence)


def test_an_answer_has_as_long_as_the_documents_say() -> None:
    assert 15.0 == READ_TIMEOUT


@pytest.mark.parametrize("what", ASK)
@pytest.mark.parametrize("answer", TRICKLES.values(), ids=TRICKLES)
def test_answer_that_trickles_is_given_up_in_time(
    server: OddServer, answer: Answer, what: str
) -> None:
    server.scripts[what] = [answer]
    began = time.monotonic()
    with pytest.raises(ApiError, match="did not answer in time"):
        ASK[what](api_of(server))
    assert 0.9 * WITHIN < time.monotonic() - began < WITHIN + PATIENCE


@pytest.mark.parametrize("answer", TRICKLES.values(), ids=TRICKLES)
def test_post_whose_answer_trickles_is_given_up_in_time(server: OddServer, answer: Answer) -> None:
    """Where its status has come, the post is done, whatever else the server had to say."""
    server.scripts["create"] = [answer]
    began = time.monotonic()
    with suppress(ApiError):
        api_of(server).create_event("default", EVENT)
    assert ["create"] == server.kinds()
    assert 0.9 * WITHIN < time.monotonic() - began < WITHIN + PATIENCE


def test_refusal_without_end_is_not_read_to_its_end(server: OddServer) -> None:
    """It takes neither the time that an answer has, nor memory."""
    server.scripts["create"] = [refuse_without_end]
    configuration = Configuration()
    configuration.host = server.url
    began = time.monotonic()
    with pytest.raises(ApiError) as caught:
        Api(configuration, read_timeout=60.0).create_event("default", EVENT)
    assert time.monotonic() - began < 30
    assert (500, "500 no") == (caught.value.status, str(caught.value))


def test_next_request_is_not_cut_by_the_limit_of_the_last(server: OddServer) -> None:
    """The connection is kept, and each request has a time of its own."""
    api = api_of(server)
    for _ in range(8):
        api.list_pods("n1", None)
        time.sleep(WITHIN / 4)
    assert 8 == len(server.kinds())


def test_watch_that_says_something_in_time_goes_on(server: OddServer) -> None:
    def slowly(handler: Any) -> None:
        handler.wfile.write(CHUNKED)
        for number in range(8):
            time.sleep(WITHIN / 2)
            handler.wfile.write(b"2\r\n%d\n\r\n" % number)
        handler.wfile.write(b"0\r\n\r\n")

    server.scripts["watch"] = [slowly]
    lines = list(api_of(server, watch_silence=2 * WITHIN).watch_pods("n1", "1", 60))
    assert [b"%d" % number for number in range(8)] == lines


@pytest.mark.parametrize(
    "answer",
    [
        trickle(CHUNKED, then=b"1\r\na\r\n"),
        trickle(CHUNKED, b"2\r\na\n\r\n186A0\r\n"),
        trickle(CHUNKED, then=b"0"),
        watch(b'{"type"', wait=True),
    ],
)
def test_watch_whose_line_does_not_end_is_begun_anew(server: OddServer, answer: Answer) -> None:
    server.scripts["watch"] = [answer]
    began = time.monotonic()
    with pytest.raises(AnswerTimeout):
        list(api_of(server, watch_silence=WITHIN).watch_pods("n1", "1", 60))
    assert time.monotonic() - began < WITHIN + PATIENCE


def test_error_of_the_server_is_one_printable_line(server: OddServer) -> None:
    server.scripts["list"] = [refuse(500, "no\n\x1b[2J\u202e " + "x" * 9999)]
    with pytest.raises(ApiError) as caught:
        api_of(server).list_pods("n1", None)
    assert str(caught.value).isprintable()
    assert "500 Internal Server Error: no \\x1b[2J\\u202e xxx" in str(caught.value)
    assert len(str(caught.value)) < 400


# Tokens


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "secrets" / "token"
    path.parent.mkdir()
    path.write_text("first\n")
    return path


def kubeconfig(folder: Path, url: str, **user: str) -> Path:
    path = folder / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(json.dumps(content))
    return path


def heard(tokens: list[str], then: Answer) -> Answer:
    """Keeps what a request shows of itself, and answers."""

    def answer(handler: Any) -> None:
        tokens.append(handler.headers["Authorization"])
        then(handler)

    return answer


def test_token_in_a_file_is_read_again_when_the_server_refuses_it(
    server: OddServer, tmp_path: Path, token: Path
) -> None:
    tokens: list[str] = []
    server.scripts["list"] = [
        heard(tokens, pods("1")),
        heard(tokens, refuse(401)),
        heard(tokens, pods("1")),
    ]
    path = kubeconfig(tmp_path, server.url, tokenFile="secrets/token")
    api = connect(str(path), {})
    api.list_pods("n1", None)
    token.write_text("second\n")
    with pytest.raises(ApiError, match="401"):
        api.list_pods("n1", None)
    api.list_pods("n1", None)
    assert ["Bearer first", "Bearer first", "Bearer second"] == tokens


def test_token_in_a_file_is_read_again_every_minute(token: Path) -> None:
    now = 0.0
    configuration = Configuration()
    configuration.api_key["authorization"] = "Bearer of the start"
    hook = TokenFile(token, lambda: now)
    seen = []
    for now, text in [  # noqa: B007  the clock is read by the hook
        (0.0, "one"),
        (PERIOD - 1, "two"),
        (PERIOD, "three"),
        (3 * PERIOD, ""),
        (3 * PERIOD + 1, "four"),
    ]:
        token.write_text(text)
        hook(configuration)
        seen.append(configuration.api_key["authorization"])
    token.unlink()
    now = 9 * PERIOD
    hook(configuration)
    seen.append(configuration.api_key["authorization"])
    expected = ["one", "one", "three", "three", "four", "four"]
    assert [f"Bearer {text}" for text in expected] == seen


@pytest.mark.parametrize(
    ("user", "found"),
    [
        ({"tokenFile": "secrets/token"}, True),
        ({"tokenFile": "secrets/token", "token": "other"}, True),
        ({"token": "x"}, False),
        ({}, False),
    ],
)
def test_file_is_found_beside_the_kubeconfig(
    user: dict[str, str], found: bool, tmp_path: Path, token: Path
) -> None:
    path = kubeconfig(tmp_path, "http://127.0.0.1:1", **user)
    assert (token if found else None) == token_file(str(path))


def test_first_of_several_kubeconfigs_counts(tmp_path: Path, token: Path) -> None:
    (tmp_path / "other").mkdir()
    first = kubeconfig(tmp_path, "http://127.0.0.1:1", tokenFile="secrets/token")
    second = kubeconfig(tmp_path / "other", "http://127.0.0.1:2", tokenFile="/nowhere")
    assert token == token_file(f"{first}:{second}:{tmp_path}/absent")
