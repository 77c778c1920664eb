"""The sink `fluent` against receivers that misbehave, and the bytes of its protocol.

The server is the test's own, for no real one can be made to answer wrongly; a real one has
tests/receivers/test_fluent_sink.py.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgpack
import pytest
from drops import drop, location
from forward_server import (
    ForwardServer,
    acknowledging,
    answering,
    closing_unacknowledged,
    cutting,
    deaf,
    send,
    silent,
    twice,
)
from forwarding import numbered
from sinks import context
from waiting import eventually

from ryu_droplog.config import loader
from ryu_droplog.config.describe import describe
from ryu_droplog.config.places import unwritable
from ryu_droplog.config.sink_spec import QueueSpec, SinkSpec
from ryu_droplog.model.errors import ConfigError
from ryu_droplog.pipelines.loader import load_pipelines
from ryu_droplog.sinks import fluent, fluent_protocol, stream
from ryu_droplog.sinks.fluent import Fluent, FluentOptions

PATIENCE = 20.0
wait_until = partial(eventually, patience=PATIENCE)
pytestmark = pytest.mark.usefixtures("short_pauses")
KEY, WORD = "key-of-receiver", "word-of-user"


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_OF_TEST", KEY)
    monkeypatch.setenv("WORD_OF_TEST", WORD)


def sink_to(*addresses: str, drops: int = 100_000, **options: Any) -> Fluent:
    keys = {"servers": list(addresses), "encode": "opflex", "ack_timeout": "10s", **options}
    made = FluentOptions.model_validate(keys)
    spec = SinkSpec("soc", "fluent", queue=QueueSpec(drops), options=made)
    return Fluent(spec, context())


def acknowledged_sink(*addresses: str, **options: Any) -> Fluent:
    return sink_to(*addresses, require_ack=True, delivery="at_least_once", **options)


def run(sink: Fluent, count: int = 3) -> None:
    """Start it, and wait until so many drops are written."""
    sink.start()
    sink.put([numbered(number) for number in range(count)])
    assert wait_until(lambda: sink.written >= count), list(sink.notices)
    assert 0 == sink.close(PATIENCE)
    assert 0 == sink.reading().unexplained()


# Bytes


def test_event_time_is_an_extension_with_nanoseconds() -> None:
    data = fluent_protocol.entry_head(1_700_000_000.25)
    assert bytes.fromhex("92 d700 6553f100 0ee6b280") == data
    assert msgpack.ExtType(0, data[3:]) == msgpack.unpackb(data[1:])
    assert bytes.fromhex("92 d700 00000000 00000000") == fluent_protocol.entry_head(-5.0)


@pytest.mark.parametrize(
    ("line", "record"),
    [
        (b'{"a": {"b": [1, 2.5, null, true, "\\u00e9"]}}', {"a": {"b": [1, 2.5, None, True, "é"]}}),
        (b"Int-TABLE MISS SRC=10.0.0.1", {"message": "Int-TABLE MISS SRC=10.0.0.1"}),
    ],
)
def test_record_is_the_object_of_the_encoder_or_its_line(
    line: bytes, record: dict[str, Any]
) -> None:
    time, unpacked = msgpack.unpackb(fluent_protocol.entry(1.5, fluent_protocol.record_of(line)))
    assert record == unpacked
    assert msgpack.ExtType(0, bytes.fromhex("00000001 1dcd6500")) == time


@pytest.mark.parametrize("encode", ["ecs", "native", "ocsf", "hubble", "json"])
def test_record_is_that_of_the_encoding_whatever_the_names(encode: str) -> None:
    def without_observed(text: str) -> str:
        return re.sub(r"20[2-9]\d-[^\"]*Z|\b1[0-9]{12}\b", "now", text)

    sink = sink_to("tcp:127.0.0.1:1", encode=encode)
    for reason in ("MISS", "\ud800 half a pair", "x\x1b[2J"):
        made = drop(where=location(reason=reason), time=1.5)
        _, record = msgpack.unpackb(sink.encode(made))
        expected = context().encoder(encode)(made).decode()
        assert json.loads(without_observed(json.dumps(record))) == json.loads(
            without_observed(expected.replace("\\ud800", "?" if encode == "json" else "\\ufffd"))
        )


def test_message_is_packed_forward_and_compressed_if_asked() -> None:
    entries = [fluent_protocol.entry(number, b"\x81\xa1n%c" % number) for number in range(3)]
    name = fluent_protocol.chunk_name("00" * 15 + "ff")
    assert "AAAAAAAAAAAAAAAAAAAA/w==" == name
    tag, data, option = msgpack.unpackb(
        fluent_protocol.packed_forward("a.b", entries, name, compress=False)
    )
    assert ("a.b", b"".join(entries), {"size": 3, "chunk": name}) == (tag, data, option)
    tag, data, option = msgpack.unpackb(
        fluent_protocol.packed_forward("a.b", entries, None, compress=True)
    )
    assert ({"size": 3, "compressed": "gzip"}, b"".join(entries)) == (option, gzip.decompress(data))


# Receivers


@pytest.mark.parametrize("again", [twice, acknowledging])
def test_acknowledged_chunk_is_written_and_a_second_acknowledgement_is_nothing(
    again: Any,
) -> None:
    with ForwardServer(again) as server:
        sink = acknowledged_sink(server.address)
        sink.start()
        for number in range(5):
            sink.put([numbered(number)])
            assert wait_until(lambda number=number: sink.written == number + 1)
        assert 0 == sink.close(PATIENCE)
    assert (1, 5, 0) == (server.connections, len(server.messages), sink.resent)
    assert [] == list(sink.notices)
    assert {"ovs.drop"} == {message[0] for message in server.messages}
    assert 5 == len({message[2]["chunk"] for message in server.messages})


WRONG = {
    "no msgpack": b"\xc1\xc1\xc1",
    "an integer": b"\x01",
    "another chunk": msgpack.packb({"ack": "another"}),
    "no acknowledgement": msgpack.packb({"error": "no"}),
    "a list for a key": b"\x81\x91\x01\x01",
    "a number": msgpack.packb({"ack": 7}),
    "HELO": msgpack.packb(["HELO", {"nonce": b"n"}]),
    "too much": b"\xdb\xff\xff\xff\xff" + b"x" * 2_000_000,
    "deep": b"\x91" * 5000 + b"\x01",
}


@pytest.mark.parametrize("answer", WRONG.values(), ids=WRONG)
def test_wrong_answer_is_no_acknowledgement_and_the_chunk_is_sent_again(answer: bytes) -> None:
    with ForwardServer(answering(answer), acknowledging) as server:
        sink = acknowledged_sink(server.address)
        run(sink)
    assert 2 == len(server.messages)
    assert 1 == len({message[2]["chunk"] for message in server.messages}), "its id is the same"
    assert 3 == sink.resent
    assert re.search("wrong answer|not acknowledged", sink.notices[0])
    assert len(sink.notices[0]) < 1000


@pytest.mark.parametrize("behaviour", [cutting, closing_unacknowledged, silent])
def test_what_is_cut_or_not_acknowledged_is_sent_again_at_least_once(behaviour: Any) -> None:
    with ForwardServer(behaviour, acknowledging) as server:
        sink = acknowledged_sink(server.address, ack_timeout="500ms")
        run(sink)
    assert 3 == len({record["message"] for _, record in server.events})
    assert len({message[2]["chunk"] for message in server.messages}) == 1


@pytest.mark.parametrize("behaviour", [closing_unacknowledged, silent])
def test_what_is_not_acknowledged_is_not_sent_again_at_most_once(behaviour: Any) -> None:
    with ForwardServer(behaviour, acknowledging) as server:
        sink = sink_to(server.address, require_ack=True, ack_timeout="300ms")
        sink.start()
        sink.put([numbered(1)])
        assert wait_until(lambda: sink.failed == 1)
        sink.put([numbered(2)])
        assert wait_until(lambda: sink.written == 1)
        assert 0 == sink.close(PATIENCE)
    assert 2 == len(server.messages)
    assert (0, 0) == (sink.resent, sink.reading().unexplained())


def test_receiver_that_reads_nothing_is_left_for_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "STALL_TIME", 0.5)
    monkeypatch.setattr(stream.Stream.send, "__defaults__", (0.5,))
    with ForwardServer(deaf) as stuck, ForwardServer() as server:
        sink = sink_to(stuck.address, server.address, encode="native")
        sink.start()
        sink.put([numbered(number) for number in range(20_000)])  # more than buffers take
        assert wait_until(lambda: sink.written == 20_000 and len(server.messages) > 0)
        assert 0 == sink.close(PATIENCE)
    assert stuck.connections > 0
    assert 0 == sink.reading().unexplained()
    assert "it does not read what is sent to it" in sink.notices[0]


def test_sink_ends_in_time_while_its_receiver_is_stuck() -> None:
    with ForwardServer(silent) as server:
        sink = acknowledged_sink(server.address, ack_timeout="1h")
        sink.start()
        sink.put([numbered(1)])
        assert wait_until(lambda: len(server.messages) == 1)
        assert 1 == sink.close(0.2)
        assert wait_until(lambda: sink.failed == 1)
    assert 0 == sink.reading().unexplained()


def test_next_server_has_its_turn_when_one_cannot_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = f"tcp:127.0.0.1:{free.getsockname()[1]}"
    with ForwardServer(closing_unacknowledged) as first, ForwardServer() as second:
        sink = acknowledged_sink(nobody, first.address, second.address)
        sink.start()
        for number in range(4):
            sink.put([numbered(number)])
            assert wait_until(lambda number=number: sink.written == number + 1)
        assert 0 == sink.close(PATIENCE)
    assert (1, 4) == (first.connections, len(second.messages)), "it stays with what works"
    assert first.messages[0] == second.messages[0]


def test_connection_that_was_closed_while_nothing_came_costs_no_drop() -> None:
    """At most once and without acknowledgements, where nothing could be sent again."""
    with ForwardServer(closing_unacknowledged, closing_unacknowledged, acknowledging) as server:
        sink = sink_to(server.address)
        sink.start()
        for number in range(3):
            sink.put([numbered(number)])
            assert wait_until(lambda number=number: len(server.messages) == number + 1)
            connection = sink._connection
            assert connection is not None
            if number < 2:
                assert wait_until(connection.stream.is_closed)
        assert 0 == sink.close(PATIENCE)
    assert (3, 0, 3) == (sink.written, sink.failed, server.connections)


# The handshake


class Handshake:
    """A server's side of it, as the specification has it; `change` spoils the PONG."""

    def __init__(self, change: Callable[[list[Any]], Any] = list, **option: Any) -> None:
        self._change = change
        self._option = {"nonce": os.urandom(16), "auth": b"", "keepalive": True, **option}

    def __call__(self, server: ForwardServer, connection: socket.socket) -> None:
        send(connection, ["HELO", self._option])
        kind, name, salt, digest, user, password = server.next(connection)
        nonce, auth = self._option["nonce"], self._option["auth"]
        right = hashlib.sha512(salt + name.encode() + nonce + KEY.encode()).hexdigest()
        word = hashlib.sha512(auth + user.encode() + WORD.encode()).hexdigest() if auth else ""
        is_open = ("PING", right, word) == (kind, digest, password)
        own = hashlib.sha512(salt + b"receiver.test" + nonce + KEY.encode()).hexdigest()
        reason = "" if is_open else "no"
        send(connection, self._change(["PONG", is_open, reason, "receiver.test", own]))
        acknowledging(server, connection)


KEYS = {"shared_key_env": "KEY_OF_TEST", "hostname": "node.test"}


@pytest.mark.parametrize(
    ("option", "keys"),
    [
        ({}, {}),
        ({"nonce": b"\xff\x00" * 8}, {}),
        ({"auth": b"salt"}, {"user": "user", "password_env": "WORD_OF_TEST"}),
    ],
)
def test_shared_key_and_password_open_the_receiver(
    option: dict[str, Any], keys: dict[str, Any]
) -> None:
    with ForwardServer(Handshake(**option)) as server:
        sink = acknowledged_sink(server.address, **KEYS, **keys)
        run(sink)
    assert 1 == len(server.messages)


def test_connection_without_keepalive_is_for_one_chunk() -> None:
    with ForwardServer(Handshake(keepalive=False)) as server:
        sink = acknowledged_sink(server.address, **KEYS)
        sink.start()
        for number in range(3):
            sink.put([numbered(number)])
            assert wait_until(lambda number=number: sink.written == number + 1)
        assert 0 == sink.close(PATIENCE)
    assert 3 == server.connections


REFUSALS: dict[str, tuple[Callable[[list[Any]], Any], str]] = {
    "refused": (lambda pong: ["PONG", False, "no\x1b[2J", "", ""], r"refuses .*: no\\x1b"),
    "ourselves": (lambda pong: [*pong[:3], "node.test", pong[4]], "this program"),
    "another key": (lambda pong: [*pong[:4], "0" * 128], "does not know the shared key"),
    "no digest": (lambda pong: [*pong[:4], None], "does not know the shared key"),
    "no PONG": (lambda pong: {"ack": "x"}, "in place of PONG"),
    "short": (lambda pong: pong[:3], "in place of PONG"),
}


@pytest.mark.parametrize(("change", "said"), REFUSALS.values(), ids=REFUSALS)
def test_receiver_that_does_not_know_the_key_gets_nothing(
    change: Callable[[list[Any]], Any], said: str
) -> None:
    with ForwardServer(Handshake(change)) as server:
        sink = acknowledged_sink(server.address, **KEYS)
        sink.start()
        sink.put([numbered(1)])
        assert wait_until(lambda: server.connections > 1)
        sink.close(0.2)
        assert wait_until(lambda: sink.failed == 1)
    assert [] == server.messages
    assert re.search(said, sink.notices[0]), sink.notices[0]
    assert KEY not in "".join(sink.notices)


def test_receiver_that_wants_a_key_where_none_is_configured_is_told_of() -> None:
    with ForwardServer(Handshake()) as server:
        sink = sink_to(server.address)
        sink.start()
        sink.put([numbered(1)])
        assert wait_until(lambda: sink.failure is not None)
        assert 1 == sink.close(0.2)
        assert wait_until(lambda: sink.failed == 1)
    assert "asks for a shared key; none is configured" in sink.notices[0]
    assert ([], 0) == (server.messages, sink.written)


# The configuration


def refusal(keys: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loader.parse(f"sinks: [{{name: soc, type: fluent, {keys}}}]", "f.yaml", {})
    return str(caught.value)


SERVERS = 'servers: ["tcp:127.0.0.1:24224"]'


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("tag: a", "servers: missing"),
        ("servers: []", "a list of tcp:HOST:PORT"),
        ('servers: ["udp:h:1"]', '"tcp:HOST:PORT", "tls:HOST:PORT" or "unix:/absolute/path"'),
        ('servers: ["tls:h:0"]', "tls:HOST:PORT with an IPv6 address in brackets"),
        (f"{SERVERS}, delivery: at_least_once", "require_ack: true beside delivery"),
        (f"{SERVERS}, delivery: exactly_once", "at_most_once or at_least_once"),
        (f"{SERVERS}, spool: {{directory: /s}}", "delivery: at_least_once beside spool"),
        (f"{SERVERS}, tls: {{ca: /ca}}", "a server with tls: beside the key tls"),
        (f"{SERVERS}, tls: {{verify: 'no'}}", "true or false"),
        (f"{SERVERS}, user: u", "a shared key and a password beside user"),
        (f"{SERVERS}, password_env: P", "user beside its password"),
        (f"{SERVERS}, password: secret", "unknown key"),
        (f"{SERVERS}, encode: xml", "one of native, ecs"),
        (f"{SERVERS}, tag: 'a b'", "characters without spaces"),
    ],
)
def test_options_that_do_not_fit_are_refused_with_what_was_expected(
    keys: str, expected: str
) -> None:
    assert expected in refusal(keys)


@pytest.mark.parametrize(
    "sink",
    [
        "type: file, path: d.log",
        "type: syslog",
        "type: stdout",
        "type: packet-events, socket: /run/e.sock",
    ],
)
def test_at_least_once_is_no_key_of_sinks_without_acknowledgements(sink: str) -> None:
    text = f"sinks: [{{name: soc, {sink}, delivery: at_least_once}}]"
    with pytest.raises(ConfigError, match=r"sinks\[0\]\.delivery: unknown key"):
        loader.parse(text, "f.yaml", {})


def test_check_config_shows_places_of_secrets_and_connects_to_nothing(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(KEY)
    with ForwardServer() as server:
        text = (
            f"sinks: [{{name: soc, type: fluent, servers: ['{server.address}'], user: u,"
            f" shared_key_file: {path}, password_env: WORD_OF_TEST, require_ack: true,"
            f" delivery: at_least_once, spool: {{directory: {tmp_path}/spool}}}}]"
        )
        page = describe(loader.parse(text, "f.yaml", load_pipelines(None)), load_pipelines(None))
        assert 0 == server.connections
    assert str(path) in page
    assert KEY not in page
    assert WORD not in page
    assert not (tmp_path / "spool").exists()


def test_spool_that_cannot_be_where_it_should_is_told_before_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    text = (
        f"run_directory: {tmp_path}\nsinks: [{{name: soc, type: fluent, {SERVERS},"
        " require_ack: true, delivery: at_least_once,"
        f" spool: {{directory: {tmp_path}/file/spool}}}}]"
    )
    [said] = unwritable(loader.parse(text, "f.yaml", {}))
    assert said.startswith(f'sinks["soc"]: {tmp_path}/file/spool cannot be written: ')


def test_key_that_cannot_be_read_is_an_error_at_the_start(tmp_path: Path) -> None:
    sink = sink_to("tcp:127.0.0.1:1", shared_key_file=str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"shared_key_file: .*none cannot be read"):
        sink.start()
    assert fluent.SCHEMES == ("tcp", "tls", "unix")
