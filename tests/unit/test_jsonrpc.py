"""Questions to daemons of Open vSwitch and OVN, whatever these do."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from odd_database import (
    HOSTILE,
    OddDatabase,
    Script,
    for_ever,
    leaves,
    replies,
    request,
    says,
    waits,
)

from ryu_droplog.model.errors import SwitchError
from ryu_droplog.ovsdb.client import Client, Select
from ryu_droplog.ovsdb.json_stream import MAX_DEPTH, JsonStream
from ryu_droplog.ovsdb.jsonrpc import Connection, call, until


class Row(Struct):
    name: str


def ask(address: str) -> list[list[Row]]:
    """As all who ask a database do."""
    selects = [Select(name, Row) for name in "abc"]
    return Client(address, deadline=until(1.5)).select_all(selects)


def reply(result: object, number: object = 0) -> bytes:
    return json.dumps({"id": number, "result": result, "error": None}).encode()


def test_result_is_read_however_the_answer_is_split(tmp_path: Path) -> None:
    text = 'a "quoted" } ] name \\ of an "{'
    parts = [bytes([byte]) for byte in reply([text, {"b": [1, 2]}])]
    with OddDatabase(tmp_path / "db", says(*parts)) as database:
        assert [text, {"b": [1, 2]}] == call(database.address, "transact", [])
        assert [{"method": "transact", "params": [], "id": 0}] == database.asked


def test_replies_to_others_and_notifications_are_passed_over(tmp_path: Path) -> None:
    others = [
        reply("of another", 7),
        reply("of nobody", None),
        b'{"method":"update","params":[null,{}],"id":null}',
        b'{"id":0,"method":"steal","params":["x"],"result":9}',
    ]
    with OddDatabase(tmp_path / "db", says(*others, b" \n", reply("ours"))) as database:
        assert "ours" == call(database.address, "transact", [])


def test_question_whether_we_live_is_answered(tmp_path: Path) -> None:
    def script(visitor: socket.socket, server: OddDatabase) -> None:
        request(visitor, server)
        visitor.sendall(b'{"id":"echo","method":"echo","params":["a"]}')
        request(visitor, server)
        visitor.sendall(reply("ours"))
        server.ending.wait()

    with OddDatabase(tmp_path / "db", script) as database:
        assert "ours" == call(database.address, "transact", [])
        assert {"id": "echo", "result": ["a"], "error": None} == database.asked[-1]


@pytest.mark.parametrize("script", HOSTILE.values(), ids=HOSTILE)
def test_server_that_misbehaves_is_one_error_in_good_time(script: Script, tmp_path: Path) -> None:
    began = time.monotonic()
    with OddDatabase(tmp_path / "db", script) as database, pytest.raises(SwitchError) as caught:
        ask(database.address)
    assert time.monotonic() - began < 5
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


def test_deadline_is_for_all_that_a_server_sends(tmp_path: Path) -> None:
    answer = [bytes([byte]) for byte in reply("x" * 40)]
    with OddDatabase(tmp_path / "db", says(*answer, pause=0.2)) as database:
        began = time.monotonic()
        with pytest.raises(SwitchError, match="no whole answer in time"):
            call(database.address, "transact", [], deadline=until(1))
        assert 0.9 < time.monotonic() - began < 3


def test_server_that_does_not_read_is_left_in_time(tmp_path: Path) -> None:
    with OddDatabase(tmp_path / "db", waits) as database:
        began = time.monotonic()
        with pytest.raises(SwitchError, match="no whole answer in time"):
            call(database.address, "transact", ["x" * 10_000_000], deadline=until(1))
        assert 0.9 < time.monotonic() - began < 3


def test_size_counts_everything_that_comes(tmp_path: Path) -> None:
    with (
        OddDatabase(tmp_path / "db", for_ever(b" " * 1000)) as database,
        pytest.raises(SwitchError, match="more than 5000 bytes"),
    ):
        call(database.address, "transact", [], size=5000)


@pytest.mark.parametrize("address", ["tcp:127.0.0.1:0", "tcp:[::1]:70000", "pipe:/x", "tcp:x", ""])
def test_address_that_is_none_is_an_error(address: str) -> None:
    with pytest.raises(SwitchError):
        call(address, "transact", [])


def test_text_that_is_no_unicode_becomes_some(tmp_path: Path) -> None:
    said = b'{"id":0,"error":null,"result":"\\ud800 \xff \\udfff"}'
    with OddDatabase(tmp_path / "db", says(said, then=leaves)) as database:
        assert "\ud800 \ufffd \udfff" == call(database.address, "transact", [])


def test_refusal_is_told_on_one_line(tmp_path: Path) -> None:
    refusal = {"error": "no\nforged \x1b[2J", "details": "\u202e" * 1000}
    script = replies(None, refusal)
    with OddDatabase(tmp_path / "db", script) as database, pytest.raises(SwitchError) as caught:
        call(database.address, "transact", [])
    assert "transact is refused: {'error': 'no\\nforged \\x1b[2J'" in str(caught.value)
    assert str(caught.value).isprintable()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(
    st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=4),
    st.sampled_from(["", " ", "\r\n\t"]),
    st.booleans(),
    st.integers(1, 50),
)
def test_objects_are_found_as_they_were_written(
    objects: list[dict[str, object]], between: str, ascii_only: bool, step: int
) -> None:
    written = between.join(json.dumps(each, ensure_ascii=ascii_only) for each in objects)
    data = written.encode("utf-8", "surrogatepass")
    stream = JsonStream(len(data), depth=200)
    parts = [data[place : place + step] for place in range(0, len(data), step)]
    found = [text for part in parts for text in stream.feed(part)]
    assert objects == [json.loads(text.decode("utf-8", "surrogatepass")) for text in found]


def test_depth_is_bounded_before_anything_is_parsed() -> None:
    deep = b'{"a":' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}"
    assert [deep] == list(JsonStream(1000).feed(deep))
    with pytest.raises(ValueError, match="more than 16 levels deep"):
        list(JsonStream(1000).feed(b'{"a":' + b"[" * MAX_DEPTH))


def test_time_to_frame_grows_with_the_bytes_alone() -> None:
    """Formerly, all that was there was parsed anew with each part that ended with a bracket."""
    stream = JsonStream(1 << 30)
    began = time.monotonic()
    assert not list(stream.feed(b'{"a":['))
    for _ in range(2000):
        assert not list(stream.feed(b'{"b":"' + b"x" * 1000 + b'"}'))
    assert time.monotonic() - began < 5


def test_connection_that_lasts_takes_notifications_and_replies_by_their_number(
    tmp_path: Path,
) -> None:
    update = b'{"method":"update","params":[null,{}],"id":null}'

    def script(visitor: socket.socket, server: OddDatabase) -> None:
        for number in range(2):
            assert number == request(visitor, server)["id"]
            visitor.sendall(update + reply("late", number - 1) + reply(number, number) + update)
        server.ending.wait()

    with OddDatabase(tmp_path / "db", script) as database:
        connection = Connection(database.address, deadline=until(5))
        assert [0, 1] == [connection.request("monitor", [], until(5)) for _ in range(2)]
        held = connection.notifications(until(5))
        assert ["update"] * 4 == [each["method"] for each in held]
        assert [] == connection.notifications(until(0.1))
        connection.interrupt()
        with pytest.raises(SwitchError):
            connection.notifications(until(5))
        connection.close()
