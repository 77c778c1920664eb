"""The live page's server with real sockets: what it answers, and what it refuses."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import msgspec
import pytest
import trustme
from pcapng import FileScanner
from pcapng.blocks import EnhancedPacket
from record_drops import HOSTILE, context, dropped
from starlette.datastructures import QueryParams
from waiting import eventually
from web_page import COMMAND, START, Page, running

from ryu_droplog.records.json_text import to_json
from ryu_droplog.records.maker import RecordMaker
from ryu_droplog.records.record import End, Port
from ryu_droplog.web.live import Live
from ryu_droplog.web.question import read_question
from ryu_droplog.web.updates import QUEUE, Updates

TOKEN = "correct-horse-battery"
MARKUP = "<img src=x onerror=alert(1)>"


def records(number: int) -> bytes:
    """Lines of records, one of them of a port whose name would be markup."""
    made = RecordMaker(context()).make(dropped()).record
    hostile = msgspec.structs.replace(
        made,
        signature="1:" + "f" * 32,
        port=Port(7, MARKUP),
        cause=MARKUP + HOSTILE.encode("utf-8", "replace").decode(),
        source=End("0a:00:00:00:00:01", MARKUP),
    )
    return b"".join(to_json(one) + b"\n" for one in (*[made] * number, hostile))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """With four drops from a file, all of which were read."""
    folder = tmp_path_factory.mktemp("web")
    (folder / "drops.json").write_bytes(records(3))
    with running(folder, "--from", str(folder / "drops.json")) as made:
        assert eventually(lambda: made.shown()["from"]["ended"], START)
        yield made


def test_drops_are_shown_and_a_filter_chooses(page: Page) -> None:
    shown = page.shown()
    assert {3, 1} == {row["packets"] for row in shown["signatures"]}
    assert 4 == shown["from"]["records"]
    chosen = page.shown("filter=--interface+tap3")
    assert [3] == [row["packets"] for row in chosen["signatures"]]
    assert [] == page.shown("filter=--reason+DENY")["signatures"]


def test_filters_that_make_no_sense_are_answered_in_words(page: Page) -> None:
    for path in ("/api/check", "/api/live"):
        answer = page.ask(f"{path}?filter=--to-port+http")
        assert 400 == answer.status
        assert b'--to-port: got "http"; expected a number from 0 to 65535' == answer.body
    assert 400 == page.ask("/api/live?since=yesterday").status


def test_one_drop_is_opened_with_its_bytes(page: Page) -> None:
    row = next(row for row in page.shown()["signatures"] if row["packets"] == 3)
    query = f"signature={row['key']}&number={row['number']}"
    told = json.loads(page.ask(f"/api/drop?{query}").body)
    assert row["key"] == told["record"]["signature"]
    assert told["bytes"][0].startswith("0000  ")
    answer = page.ask(f"/api/drop.pcapng?{query}")
    assert answer.headers["content-disposition"].endswith('.pcapng"')
    [packet] = [b for b in FileScanner(BytesIO(answer.body)) if isinstance(b, EnhancedPacket)]
    assert dropped().frame[: len(packet.packet_data)] == packet.packet_data
    assert 400 == page.ask("/api/drop?signature=1:nobody").status


def test_without_a_program_the_switch_is_not_asked(page: Page) -> None:
    key = page.shown()["signatures"][0]["key"]
    assert 502 == page.ask(f"/api/explain?signature={key}").status
    assert 502 == page.ask("/api/pipelines").status
    assert [] == json.loads(page.ask("/api/status").body)["programs"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_the_page_is_only_read(page: Page, method: str) -> None:
    answer = page.ask("/", method)
    assert (405, "GET, HEAD") == (answer.status, answer.headers["allow"])
    head = page.ask("/", "HEAD")
    assert (200, b"") == (head.status, head.body)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:9111", "127.0.0.1.evil.example"])
def test_a_foreign_name_is_refused(page: Page, host: str) -> None:
    for path in ("/", "/api/live", "/assets/page.js"):
        assert 421 == page.ask(path, Host=host).status


def test_requests_that_another_site_makes_a_browser_send_are_refused(page: Page) -> None:
    assert 403 == page.ask("/api/status", Sec_Fetch_Site="cross-site").status
    assert 403 == page.ask("/api/status", Sec_Fetch_Site="same-site").status
    assert 200 == page.ask("/api/status", Sec_Fetch_Site="same-origin").status
    assert 200 == page.ask("/", Sec_Fetch_Site="cross-site").status  # a link in a message


def test_every_answer_forbids_markup_and_other_origins(page: Page) -> None:
    for path in ("/", "/assets/page.js", "/api/filters", "/nothing", "/api/check?filter=--x"):
        headers = page.ask(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "nosniff" == headers["x-content-type-options"]
        assert "no-store" == headers["cache-control"]
    assert page.ask("/api/drop?signature=1:x").headers["content-type"].startswith("text/plain")


def test_no_asset_is_read_from_outside_the_page(page: Page) -> None:
    for path in ("/assets/../server.py", "/assets/%2e%2e%2fserver.py", "/assets//etc/passwd"):
        assert page.ask(path).status in (404, 400)


def test_the_page_needs_no_markup_and_no_other_host() -> None:
    folder = Path(__file__).resolve().parents[2] / "ryu_droplog" / "web" / "assets"
    for path in folder.iterdir():
        text = path.read_text()
        assert "innerHTML" not in text, path
        assert "insertAdjacentHTML" not in text, path
        assert " style=" not in text, path
        assert "<script>" not in text, path
        assert "https://" not in text, path
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", ""), path


def test_requests_are_bounded(page: Page) -> None:
    assert 414 == page.ask("/?filter=" + "x" * 9000).status
    for text, expected in (
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello", b" 413 "),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", b" 400 "),
        (b"GET / HTTP/1.1\r\n\r\n", b" 400 "),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000, b" 400 "),
    ):
        with socket.create_connection(("127.0.0.1", page.port), timeout=30) as sock:
            sock.sendall(text)
            assert expected in sock.recv(200).partition(b"\r\n")[0] + b" ", text[:60]


def test_who_does_not_finish_a_request_is_let_go(page: Page) -> None:
    with socket.create_connection(("127.0.0.1", page.port), timeout=60) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHo")
        assert b"" == sock.recv(100)


def test_a_name_stays_text(page: Page) -> None:
    row = next(row for row in page.shown()["signatures"] if row["packets"] == 1)
    assert MARKUP in row["source"] or "<img" in row["source"]
    answer = page.ask(f"/api/drop?signature={row['key']}")
    assert "application/json" == answer.headers["content-type"]
    assert MARKUP == json.loads(answer.body)["record"]["port"]["name"]


def test_many_look_at_the_same_time_and_too_many_are_told_so(page: Page) -> None:
    seen: list[int] = []
    done = threading.Event()

    def look() -> None:
        for _ in page.events():
            seen.append(1)
            done.wait(60)
            return

    threads = [threading.Thread(target=look) for _ in range(100)]
    for thread in threads:
        thread.start()
    try:
        assert eventually(lambda: len(seen) == 100, 60)
        answer = page.ask("/api/live")
        assert (503, b"more than 100 browsers at the same time") == (answer.status, answer.body)
    finally:
        done.set()
        for thread in threads:
            thread.join(60)
    assert eventually(lambda: json.loads(page.ask("/api/status").body)["page"]["browsers"] == 0, 60)


def test_the_token_lets_in_and_leaves_the_address(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    (tmp_path / "drops.json").write_bytes(records(1))
    words = ("--from", str(tmp_path / "drops.json"), "--token-file", str(tmp_path / "token"))
    with running(tmp_path, *words) as page:
        assert 401 == page.ask("/").status
        assert b"Token of this page" in page.ask("/?token=wrong").body
        for path in ("/api/live", "/api/status", "/assets/page.js", f"/api/status?token={TOKEN}"):
            assert 401 == page.ask(path).status
        assert 401 == page.ask("/api/status", Authorization="Bearer wrong").status
        assert 200 == page.ask("/api/status", Authorization=f"Bearer {TOKEN}").status
        answer = page.ask(f"/?token={TOKEN}&filter=--port+80")
        assert (303, "/?filter=--port+80") == (answer.status, answer.headers["location"])
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert TOKEN not in cookie
        assert 200 == page.ask("/api/status", Cookie=cookie.partition(";")[0]).status


def test_an_address_for_others_is_refused_and_says_what_it_needs() -> None:
    command = (*COMMAND[:2], "--listen", "0.0.0.0:0")
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert 2 == said.returncode
    assert "can be reached from other hosts" in said.stderr
    assert "--token-file" in said.stderr


def test_a_slow_browser_loses_its_own_and_is_told_how_much() -> None:
    live = Live("a test")
    record = RecordMaker(context()).make(dropped()).record

    async def look() -> tuple[list[bytes], list[bytes]]:
        """What one gets who reads nothing for a while, and one who reads at once."""
        updates = Updates(live)
        slow = updates.follow(read_question(QueryParams("")))
        quick = updates.follow(read_question(QueryParams("")))
        await anext(slow)
        got = [await anext(quick)]
        while sum(event.startswith(b"event: shown") for event in got) < QUEUE + 3:
            live.add(record)
            got.append(await anext(quick))
        late = [await anext(slow) for _ in range(QUEUE + 1)]
        await slow.aclose()
        await quick.aclose()
        assert 0 == updates.browsers
        return late, got

    late, got = asyncio.run(asyncio.wait_for(look(), 60))
    [missed] = [event for event in late if event.startswith(b"event: missed")]
    number = json.loads(missed.partition(b"data: ")[2])["updates"]
    assert 1 <= number <= 4
    assert QUEUE == sum(event.startswith(b"event: shown") for event in late)
    assert not any(event.startswith(b"event: missed") for event in got)
    assert got[-1] == late[-1]


def test_client_certificates_let_in_and_others_do_not(tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    server, client = authority.issue_cert("127.0.0.1"), authority.issue_cert("client.test")
    server.cert_chain_pems[0].write_to_path(str(tmp_path / "server.pem"))
    server.private_key_pem.write_to_path(str(tmp_path / "server.key"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    (tmp_path / "drops.json").write_bytes(records(1))
    words = ("--tls-certificate", "server.pem", "--tls-key", "server.key", "--client-ca", "ca.pem")
    files = [str(tmp_path / word) if word[0] != "-" else word for word in words]
    with running(tmp_path, "--from", str(tmp_path / "drops.json"), *files) as page:

        def ask(certificate: trustme.LeafCert | None) -> int:
            trusting = ssl.create_default_context()
            authority.configure_trust(trusting)
            if certificate is not None:
                certificate.configure_cert(trusting)
            connection = http.client.HTTPSConnection(
                "127.0.0.1", page.port, timeout=30, context=trusting
            )
            try:
                connection.request("GET", "/api/status")
                return connection.getresponse().status
            finally:
                connection.close()

        assert 200 == ask(client)
        for certificate in (None, stranger.issue_cert("client.test")):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                ask(certificate)
