"""Whatever a database answers: the declared error or an answer, in time, and names fit for a line.

Through a real socket, as `Southbound` and all others who ask a database read it. `lasting` says how
to let it run for long.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))
from hostile import NAMES
from lasting import examples, lasting

from ryu_droplog.openflow.flow_stats import Effect, Flow
from ryu_droplog.ovsdb import southbound as module
from ryu_droplog.ovsdb.json_stream import JsonStream
from ryu_droplog.ovsdb.southbound import Southbound
from ryu_droplog.ovsdb.southbound_rows import LONGEST_MATCH
from ryu_droplog.ovsdb.southbound_servers import Remotes
from ryu_droplog.text.printable import CUT

TOO_LONG = 2.0
"""Seconds; an answer that ends takes milliseconds, and the rest is a noisy machine's."""
METADATA = bytes.fromhex("80000408 0000000000000007")
FLOW = Flow(16, 2000, 0xDEADBEEF, METADATA, 0, 0, Effect())
UUID = "deadbeef-0000-4000-8000-000000000001"

TEXTS = st.one_of(st.text(st.characters(), max_size=30), st.sampled_from(sorted(NAMES.values())))
ATOMS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.just(["uuid", UUID])
)
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(TEXTS, inner, max_size=3),
        st.lists(inner, max_size=3).map(lambda values: ["set", values]),
        st.lists(st.tuples(inner, inner), max_size=3).map(lambda pairs: ["map", pairs]),
    ),
    max_leaves=6,
)
MAPS = st.dictionaries(
    st.sampled_from(["stage-name", "stage-hint", "name", "name2", "logical-router"]), TEXTS
).map(lambda found: ["map", list(found.items())])
COLUMNS = {
    "_uuid": st.just(["uuid", UUID]),
    "datapath": st.just(["uuid", UUID]),
    "match": TEXTS,
    "actions": st.one_of(TEXTS, TEXTS.map(lambda text: f'log(name="{text}"); drop;')),
    "external_ids": MAPS,
    "tunnel_key": st.integers(0, 9),
    "logical_port": TEXTS,
}


@st.composite
def rows(draw: st.DrawFn) -> Any:
    """A row that is right, or one with something else in it."""
    row: dict[str, Any] = {name: draw(values) for name, values in COLUMNS.items()}
    for name in draw(st.lists(st.sampled_from(sorted(COLUMNS)), max_size=1)):
        row[name] = draw(VALUES)
    return row


RESULTS = st.one_of(
    st.lists(st.lists(rows(), max_size=3).map(lambda found: {"rows": found}), max_size=4),
    VALUES,
)
REPLIES = st.fixed_dictionaries(
    {"id": st.sampled_from([0, 0, 0, 7, None, "echo"]), "result": RESULTS},
    optional={"error": VALUES, "method": st.sampled_from(["echo", "update"]), "params": VALUES},
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Some replies in a row, mutated here and there."""
    replies = draw(st.lists(REPLIES, min_size=1, max_size=3))
    texts = [json.dumps(reply, ensure_ascii=draw(st.booleans())) for reply in replies]
    data = bytearray("".join(texts).encode("utf-8", "surrogatepass"))
    for place, byte in draw(st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=3)):
        data[place % len(data)] = byte
    return bytes(data[: draw(st.integers(0, len(data)))]) if draw(st.booleans()) else bytes(data)


class Answers:
    """A server that says to each what stands in `said`, in parts, and ends the connection."""

    def __init__(self, path: Path) -> None:
        self.address = f"unix:{path}"
        self.said: list[bytes] = [b""]
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen(64)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            visitor = self._socket.accept()[0]
            try:
                visitor.recv(65536)
                for part in self.said:
                    visitor.sendall(part)
            except OSError:
                pass
            finally:
                visitor.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    return Answers(tmp_path_factory.mktemp("fuzz") / "db.sock")


@lasting
@given(data=streams(), cuts=st.lists(st.integers(0, 5000), max_size=4))
@example(data=b'{"id": 0, "result": ["\\udc00"]}', cuts=[])
@settings(max_examples=examples(300), deadline=None)
def test_any_answer_is_an_error_or_names_fit_for_a_line(
    server: Answers, data: bytes, cuts: list[int]
) -> None:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    server.said = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
    found = Southbound("", quiet=True)
    began = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "find_southbound", lambda rundir: Remotes((server.address,), None))
        found.refresh([FLOW])  # whatever it raises is a mistake of ours
    assert time.monotonic() - began < TOO_LONG
    assert found.trouble.isprintable()
    directory = found.directory()
    names = [*found.names(FLOW.cookie).values(), *directory.ports.values()]
    names += [name for name, _ in directory.datapaths.values()]
    for name in names:
        assert name.isprintable()
        assert len(name) <= LONGEST_MATCH + len(CUT)


PIECES = st.sampled_from(
    [
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b"\\",
        b",",
        b":",
        b" ",
        b"\n",
        b"0",
        b'"id":0',
        b"\xff",
        b"null",
    ]
)


@lasting
@given(
    st.one_of(st.binary(max_size=300), st.lists(PIECES, max_size=120).map(b"".join)),
    st.lists(st.integers(0, 5000), max_size=9),
)
@settings(max_examples=examples(1000), deadline=None)
def test_any_stream_is_framed_alike_however_it_is_split(data: bytes, cuts: list[int]) -> None:
    def framed(parts: list[bytes]) -> tuple[list[bytes], str]:
        stream, found = JsonStream(len(data)), []
        for part in parts:
            try:
                for text in stream.feed(part):
                    found.append(text)
            except ValueError as error:
                return found, str(error)
        return found, ""

    places = sorted({cut % (len(data) + 1) for cut in cuts})
    parts = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
    whole = framed([data])
    assert whole == framed(parts)
    for text in whole[0]:
        assert text.lstrip(b" \t\r\n").startswith(b"{")
        with suppress(ValueError):  # and never RecursionError: the depth is bounded
            json.loads(text.decode("utf-8", "replace"))
