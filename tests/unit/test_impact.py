"""What dropped SYNs mean: who waits and who scans."""

from __future__ import annotations

from frames import syn
from hypothesis import given, settings
from hypothesis import strategies as st
from record_drops import context, place

from ryu_droplog.observe.impact import Impact, Impacts
from ryu_droplog.packet.ethernet import decode
from ryu_droplog.records.maker import RecordMaker
from ryu_droplog.records.record import End, Record

START = 1_764_000_000.0
MAKER = RecordMaker(context())


def try_of(at: float, source: str, port: int, sequence: int, repeated: int = 0) -> Record:
    """The record of a SYN at START + `at` seconds, from `source` to 10.0.0.1."""
    drop = decode(syn(), START + at, place(), b"")
    record = MAKER.make(drop).record
    assert record.packet.tcp is not None
    record.packet.tcp.source_port, record.packet.tcp.destination_port = 40_000, port
    record.packet.tcp.sequence = sequence
    record.source, record.destination = End(ip=source, port=40_000), End(ip="10.0.0.1", port=port)
    record.repeated = repeated
    return record


def impact_of(*records: Record, now: float, limit: int = 8192) -> Impact:
    impacts = Impacts(limit)
    for record in records:
        impacts.add(record)
    return impacts.at(START + now)


def test_clients_that_repeat_wait() -> None:
    tries = [
        try_of(at + number / 10, f"10.1.0.{number}", 80, number)
        for at in (0, 1, 3, 7)
        for number in range(3)
    ]
    found = impact_of(*tries, now=14)
    assert "3 clients wait, the oldest for 14 s, 4 tries" == found.in_words()


def test_a_client_that_is_silent_for_longer_than_its_back_off_waits_no_more() -> None:
    tries = [try_of(at, "10.1.0.1", 80, 7) for at in (0, 1, 3, 7)]
    assert "1 client no longer tries" == impact_of(*tries, now=60).in_words()


def test_many_ports_are_a_scanner_and_no_clients() -> None:
    tries = [try_of(port / 1000, "10.1.0.9", port, port) for port in range(1, 901)]
    assert "one scanner, 900 ports" == impact_of(*tries, now=1).in_words()


def test_another_sequence_number_is_another_connection() -> None:
    tries = [try_of(at, "10.1.0.1", 80, at) for at in range(4)]
    found = impact_of(*tries, now=4)
    assert (0, 1) == (found.clients, found.once)


def test_what_is_missing_makes_it_at_least() -> None:
    tries = [try_of(0, "10.1.0.1", 80, 7), try_of(1, "10.1.0.1", 80, 7, repeated=9)]
    assert "at least 1 client waits, for 2 s, 2 tries" == impact_of(*tries, now=2).in_words()


def test_what_is_no_syn_is_nobody() -> None:
    record = try_of(0, "10.1.0.1", 80, 7)
    assert record.packet.tcp is not None
    record.packet.tcp.flags = ("SYN", "ACK")
    assert "" == impact_of(record, now=0).in_words()


SYNS = st.tuples(st.integers(0, 300), st.integers(0, 30), st.integers(1, 200), st.integers(0, 5))


@settings(deadline=None)
@given(st.lists(SYNS, max_size=150), st.integers(1, 40))
def test_every_sender_has_one_end_and_memory_is_bounded(
    syns: list[tuple[int, int, int, int]], limit: int
) -> None:
    """Each waits, waits no more, has tried once, or scans."""
    tries = [try_of(at, f"10.1.0.{who}", port, number) for at, who, port, number in sorted(syns)]
    found = impact_of(*tries, now=300, limit=limit)
    senders = found.clients + found.ended + found.once + found.scanners
    connections = {(who, port, number) for _, who, port, number in syns}
    if len(connections) <= limit:
        assert len({who for _, who, _, _ in syns}) == senders
        assert not found.at_least
    else:
        assert senders <= limit
        assert found.at_least
