"""What a switch or a database may answer to the clean-up process, over real sockets."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import openflow_bytes as wire
import pytest

from ryu_droplog.cleanup import cleanup_process
from ryu_droplog.cleanup.cleanup_process import Failure, carry_out

PATIENCE = 20.0
NOT_1_3 = "the bridge does not speak OpenFlow 1.3"
DONE = wire.message(wire.BARRIER_REPLY)
METER_MOD = bytes.fromhex("04 1d 0010 00000000")
FLOW_MOD = bytes.fromhex("04 0e 0038 00000000")
SCRIPT = wire.hello(4) + wire.message(20)
REQUEST = b'{"method": "transact", "params": [], "id": 1}'


def error(kind: int, code: int, about: bytes = b"", version: int = 4) -> bytes:
    """An OFPT_ERROR with the beginning of the message that it is about."""
    return wire.message(wire.ERROR, struct.pack("!HH", kind, code) + about, version=version)


def hello(elements: str, version: int = 4) -> bytes:
    return wire.message(wire.HELLO, bytes.fromhex(elements), version=version)


class Answering:
    """Whoever listens there: says the same to everybody, once it has been spoken to."""

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self.parts: list[bytes] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.address)
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock:
                sock.settimeout(PATIENCE)
                sock.recv(65536)
                try:
                    for part in self.parts:
                        sock.sendall(part)
                except OSError:  # it was left before the end
                    continue

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Answering]:
    started = Answering(tmp_path / "there")
    yield started
    started.close()


def failure(answering: Answering, messages: bytes, *parts: bytes) -> str | None:
    """Why it failed, if it did."""
    answering.parts = list(parts)
    try:
        carry_out(answering.address, messages)
    except Failure as why:
        return str(why)
    return None


@pytest.mark.parametrize(
    ("greeting", "taken"),
    [
        (hello(""), True),  # the version in the header is what counts
        (hello("", version=5), True),
        (hello("", version=1), False),
        (hello("0001 0008 00000010", version=6), True),
        (hello("0001 0008 00000062", version=6), False),  # 1.0, 1.4 and 1.5
        (hello("0009 0005 00 000000 0001 0008 00000010", version=6), True),  # behind another
        (hello("0009 0005 00 000000 0001 0008 00000002", version=6), False),
        (hello("0001 0004 0000", version=1), False),  # too short to have a bitmap
        (hello("0007 0000 0001 0008 00000002"), True),  # an element without an end
        (hello("0001"), True),  # not even the head of one
    ],
)
def test_greeting_says_whether_openflow_13_is_spoken(
    answering: Answering, greeting: bytes, taken: bool
) -> None:
    assert (None if taken else NOT_1_3) == failure(answering, SCRIPT, greeting, DONE)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (error(12, 2), None),  # OFPMMFC_INVALID_METER
        (error(12, 3), None),  # OFPMMFC_UNKNOWN_METER
        (error(12, 4), "the switch refuses: error of type 12, code 4"),
        (error(1, 1, METER_MOD), None),  # a switch without meters
        (error(1, 1, FLOW_MOD), "the switch refuses: error of type 1, code 1"),
        (error(1, 1), "the switch refuses: error of type 1, code 1"),  # it says not of what
        (error(0, 0, version=1), NOT_1_3),
        (error(1, 0, FLOW_MOD), NOT_1_3),
        (error(1, 5, FLOW_MOD), "the switch refuses: error of type 1, code 5"),
        (wire.message(wire.ERROR), NOT_1_3),  # without a type, which is then 0
    ],
)
def test_error_is_a_refusal_unless_what_is_to_go_is_not_there(
    answering: Answering, answer: bytes, why: str | None
) -> None:
    assert why == failure(answering, SCRIPT, wire.hello(4), answer, DONE)


def test_first_of_several_refusals_is_named(answering: Answering) -> None:
    parts = [error(12, 2), error(5, 1, FLOW_MOD), error(5, 2, FLOW_MOD)]
    expected = "the switch refuses: error of type 5, code 1"
    assert expected == failure(answering, SCRIPT, wire.hello(4), *parts, DONE)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "the connection ended before the answer"),
        (bytes(8), "what answers there does not speak OpenFlow"),
        (b"\4\0\0\7\0\0\0\0", "what answers there does not speak OpenFlow"),
        (b"", "the connection ended before the answer"),
        (wire.hello(4)[:-1], "the connection ended before the answer"),
        (DONE[:-1], "the connection ended before the answer"),
        (wire.message(wire.BARRIER_REPLY, version=1), "the connection ended before the answer"),
    ],
)
def test_what_is_no_whole_answer_is_a_failure(
    answering: Answering, answer: bytes, why: str
) -> None:
    assert why == failure(answering, SCRIPT, answer)


def test_answer_may_come_in_any_pieces(answering: Answering) -> None:
    whole = wire.hello(4) + wire.message(wire.ECHO_REQUEST, b"12") + error(12, 2) + DONE
    assert failure(answering, SCRIPT, *(bytes([byte]) for byte in whole)) is None


REFUSED = "the database refuses"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"id": 1, "result": [{"count": 1}, {}], "error": None}, None),
        ({"id": 1, "result": []}, None),
        ({"id": 1, "result": [{"count": 1}, None]}, None),  # null: not carried out, nor refused
        ({"id": 1, "result": [{"count": 0}, {"error": "timed out"}]}, REFUSED),
        ({"id": 1, "result": [], "error": "no such database"}, REFUSED),
        ({"id": 1, "result": None, "error": None}, REFUSED),
        ({"id": 1, "result": {"error": None}}, REFUSED),
        ({"id": 1}, REFUSED),
        ([], REFUSED),
        (None, REFUSED),
        (7, REFUSED),
    ],
)
def test_database_has_done_it_only_where_no_part_was_refused(
    answering: Answering, answer: object, why: str | None
) -> None:
    assert why == failure(answering, REQUEST, json.dumps(answer).encode())


def test_answer_of_a_database_that_is_no_json_ends_with_the_connection(
    answering: Answering,
) -> None:
    expected = "the connection ended before the answer"
    assert expected == failure(answering, REQUEST, b"[" * 200_000)


def test_answer_of_a_database_without_end_is_read_no_further(answering: Answering) -> None:
    endless = [b'["', *[bytes(60_000)] * (cleanup_process.ANSWER_SIZE // 60_000 + 1)]
    assert "the answer is too long" == failure(answering, REQUEST, *endless)


def test_nobody_at_a_management_socket_is_a_bridge_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="cannot connect: No such file or directory") as caught:
        carry_out(str(tmp_path / "nothing"), SCRIPT)
    assert caught.value.gone


def test_nobody_at_a_port_may_be_a_bridge_that_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Failure, match="cannot connect: Connection refused") as caught:
        carry_out(("127.0.0.1", port), SCRIPT)
    assert not caught.value.gone
