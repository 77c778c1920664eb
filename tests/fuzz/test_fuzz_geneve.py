"""Whatever the datagrams: each is counted once, nothing else is raised, and nothing grows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hypothesis import example, given, settings
from hypothesis import strategies as st
from lasting import examples
from test_fuzz_packet import FRAMES, mutated

from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.model.drop import Drop
from ryu_droplog.model.errors import MalformedMessage
from ryu_droplog.owners.opflex_names import OpflexNames, parse_ids
from ryu_droplog.packet import geneve
from ryu_droplog.packet.packet_in import context, drop_record, oxm_fields
from ryu_droplog.pipelines.loader import load_pipelines
from ryu_droplog.processing.chain import Chain
from ryu_droplog.processing.shares import Share
from ryu_droplog.sinks.line import redirected
from ryu_droplog.sinks.packet_events import packet_event
from ryu_droplog.sources import geneve_log, locations
from ryu_droplog.sources.geneve_log import GeneveLogReader, senders

SENDERS = senders(load_pipelines(None), {})
WORDS = OpflexNames({7: "rule", 8: ""}, {10: "red", 11: "blue"})
OPTIONS = {
    **{kind: f"ffff{kind:02x}01 0000000{kind}" for kind in range(8)},
    8: "ffff0801 00000022",
    9: "ffff0901 00000001",
    10: "ffff0a01 00000051",
    11: "ffff0b04" + "00" * 15 + "01",
    12: "ffff0c01 00000004",
    13: "ffff0d01 00000001",
    14: "ffff0e02 4000000000000007",
}
HEADERS = [
    bytes.fromhex(text)
    for text in (
        "00006558 00000200" + "".join(OPTIONS.values()),
        "07006558 00000100" + OPTIONS[12] + OPTIONS[13] + OPTIONS[14],
        "04806558 00000700" + OPTIONS[13] + OPTIONS[12],
        "05006558 000002ff 01020300" + OPTIONS[12] + OPTIONS[0],
        "02006558 00000200" + OPTIONS[12],
        "02006558 00000200" + OPTIONS[13],
        "02000800 00000200" + OPTIONS[12],
        "00006558 00000000",
    )
]
HEADERS[0] = bytes([(len(HEADERS[0]) - 8) // 4]) + HEADERS[0][1:]
DATAGRAMS = [header + FRAMES[0] for header in HEADERS] + [HEADERS[1] + frame for frame in FRAMES]
REMEMBERED = 8
"""Headers and locations that may be held, for these tests."""


class Keeper:
    """Takes drops, as a sink does."""

    def __init__(self) -> None:
        self.drops: list[Drop] = []

    def put(self, drops: Sequence[Drop], by_table: Sequence[Share]) -> None:
        self.drops += drops


@contextmanager
def little_memory() -> Iterator[None]:
    before = geneve_log.HEADERS, locations.LOCATIONS
    geneve_log.HEADERS = locations.LOCATIONS = REMEMBERED
    try:
        yield
    finally:
        geneve_log.HEADERS, locations.LOCATIONS = before


anything = st.one_of(st.binary(max_size=160), mutated(DATAGRAMS), st.sampled_from(DATAGRAMS))


@given(st.lists(st.lists(anything, max_size=12), max_size=6))
@settings(max_examples=examples(500), deadline=None)
@example([[b""], DATAGRAMS, DATAGRAMS])
def test_any_datagrams_are_each_counted_once_and_nothing_grows(batches: list[list[bytes]]) -> None:
    books, keeper = SourceBooks(), Keeper()
    logs = GeneveLogReader("geneve", SENDERS, books)
    logs.learn_opflex_names(WORDS)
    chain = Chain(logs, books, None, [keeper])
    with little_memory():
        for batch in batches:
            chain.take(batch, 0.0, 0.0)
            assert REMEMBERED >= logs.headers
            assert REMEMBERED >= logs.locations
    received = sum(book.received for book in books.tables.values())
    sent = sum(map(len, batches))
    assert sent == books.malformed + books.unrecognised + received
    assert received == len(keeper.drops)
    assert received == sum(book.handed_on for book in books.tables.values())
    assert 3 * 256 >= len(books.tables)
    for drop in keeper.drops:
        text = redirected(drop)
        assert text.isascii()
        assert text.isprintable()
        assert b"\n" not in packet_event(drop)


@given(anything)
@settings(max_examples=examples(1500), deadline=None)
def test_any_datagram_is_read_refused_or_a_stranger(datagram: bytes) -> None:
    try:
        end = geneve.header_length(datagram)
        log = geneve.parse(datagram[:end])
    except MalformedMessage:
        return
    assert 8 <= end <= min(len(datagram), 260)
    if log is None:
        return
    assert 0 <= log.table_id <= 255
    assert 0 <= log.vni < 1 << 24
    fields = list(oxm_fields(log.metadata))
    assert len(log.metadata) == sum(4 + len(field.value) for field in fields)
    assert all(field.value in datagram[:end] for field in fields)
    assert drop_record(log.metadata).table_id in (None, log.table_id)
    context(log.metadata)


@given(anything)
@settings(max_examples=examples(500), deadline=None)
def test_datagram_says_the_same_when_its_header_is_remembered(datagram: bytes) -> None:
    logs = GeneveLogReader("geneve", SENDERS, SourceBooks())
    answers = []
    for _ in range(2):
        try:
            answers.append(logs.read(datagram))
        except MalformedMessage as error:
            answers.append(str(error))
    assert answers[0] == answers[1]


@given(
    st.one_of(
        st.binary(max_size=64),
        st.binary(max_size=64).map(lambda data: b"opflexid\x01\0\0\0" + data),
        mutated([b"opflexid\x01\0\0\0\x07\0\0\0\x04\0rule\x08\0\0\0\0\0"]),
    )
)
@settings(max_examples=examples(500), deadline=None)
def test_any_id_file_gives_words_that_fit_into_a_line(data: bytes) -> None:
    for policy, name in parse_ids(data):
        assert 0 <= policy < 1 << 32
        assert name.isprintable()
        assert not set(name) & set(' ="'), "it is one word, and reads like no field"


def test_seeds_are_what_they_are_meant_to_be() -> None:
    """The mutations start from datagrams that would be read to their end."""
    books, keeper = SourceBooks(), Keeper()
    Chain(GeneveLogReader("geneve", SENDERS, books), books, None, [keeper]).take(
        DATAGRAMS, 0.0, 0.0
    )
    assert (0, 3) == (books.malformed, books.unrecognised)
    assert (len(DATAGRAMS) - 3, 0) == (len(keeper.drops), books.truncated)
    assert 15 == len(list(oxm_fields(keeper.drops[0].metadata)))
