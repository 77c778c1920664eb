"""What the live page is made of: filters as text, counts by time, views, who is let in. Pure."""

from __future__ import annotations

import msgspec
import pytest
from record_drops import context, dropped

from ryu_droplog.model.errors import ConfigError
from ryu_droplog.observe.filter_text import conditions_of_text
from ryu_droplog.observe.filters import predicate
from ryu_droplog.observe.query import Condition, QueryError
from ryu_droplog.records.maker import RecordMaker
from ryu_droplog.records.record import Acknowledged, Record
from ryu_droplog.records.times import rfc3339
from ryu_droplog.web.admission import Address, Hosts, Tls, Tokens, check, read_address
from ryu_droplog.web.drop_file import hexadecimal
from ryu_droplog.web.history import STEP, STEPS, Counts, Span, step_of
from ryu_droplog.web.live import VIEWS, Live, TooManyError
from ryu_droplog.web.view import SIGNATURES, View

NOW = 1_764_000_000.0
RECORD = RecordMaker(context()).make(dropped()).record


def record(key: str = "1:aa", seconds: float = NOW, **changes: object) -> Record:
    """A drop of a signature at a time."""
    return msgspec.structs.replace(RECORD, signature=key, time=rfc3339(seconds), **changes)


def live(*records: Record, now: float = NOW) -> Live:
    made = Live("a test", lambda: now)
    for one in records:
        made.add(one)
    return made


# Filters as text


def test_flags_are_read_as_on_the_command_line() -> None:
    text = "--to-port 443 --not --from-ip=10.0.0.0/8 -n 'a b'"
    expected = [
        Condition("to-port", ["443"]),
        Condition("from-ip", ["10.0.0.0/8"], True),
        Condition("namespace", ["a b"]),
    ]
    assert expected == conditions_of_text(text)
    assert [] == conditions_of_text("")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("--to-port", "--to-port: expected PORT behind it"),
        ("--to-port http", '--to-port: got "http"; expected a number from 0 to 65535'),
        ("--not", "--not: expected a filter behind it"),
        ("--not --not --port 1", "--not twice"),
        ("443", 'got "443"; expected a filter'),
        ("--vm 'a", "no closing quotation"),
        ("--port 1 " * 65, "65 filters; expected at most 64"),
        ("x" * 3000, "3000 characters"),
    ],
)
def test_flags_that_make_no_sense_are_refused_in_words(text: str, said: str) -> None:
    with pytest.raises(QueryError) as caught:
        conditions_of_text(text)
    assert said in str(caught.value)


# Counts by time


def test_counts_forget_what_is_older_than_the_oldest_step() -> None:
    counts = Counts()
    for step in range(STEPS + 5):
        counts.add(step, 1)
    assert STEPS == counts.total(0, STEPS + 5)
    assert [1] * STEPS == counts.list(STEPS + 4)


def test_rate_is_of_the_current_step_and_the_one_before() -> None:
    counts = Counts()
    counts.add(99, 20)
    counts.add(100, 10)
    assert 2.0 == counts.rate(100 * STEP + 5)
    assert 0.0 == counts.rate(102 * STEP)


# Views


def test_new_signatures_come_first_and_acked_ones_stand_apart() -> None:
    old = record("1:01", NOW, repeated=900, first_time=rfc3339(NOW - 4000))
    fresh = record("1:02", NOW)
    acked = record("1:03", NOW, acknowledged=Acknowledged("a scanner"))
    made = live(old, fresh, acked)
    shown = made.shown(made.open_view(b"", []), Span())
    assert ["1:02", "1:01"] == [row["key"] for row in shown["signatures"]]
    assert [True, False] == [row["new"] for row in shown["signatures"]]
    assert ["1:03"] == [row["key"] for row in shown["acked"]]
    assert 902 == shown["packets"]


def test_a_span_counts_what_was_dropped_in_it_alone() -> None:
    made = live(record(seconds=NOW - 600), record(seconds=NOW - 600), record("1:bb", NOW))
    view = made.open_view(b"", [])
    step = step_of(NOW - 600)
    shown = made.shown(view, Span(step, step))
    assert [("1:aa", 2)] == [(row["key"], row["packets"]) for row in shown["signatures"]]
    assert 2 == shown["ends"]["cells"][0][2]
    assert 3 == sum(shown["heat"]["rows"][0]["counts"])


@pytest.mark.parametrize("text", ["--bridge br-int", "--from-port 80", "--port 80"])
def test_a_new_filter_sees_what_it_would_have_seen(text: str) -> None:
    drops = [record("1:aa"), record("1:bb", repeated=5), record("1:cc", bridge="br-ex")]
    conditions = conditions_of_text(text)
    before, after = live(), live(*drops)
    first = before.open_view(b"k", conditions)
    for one in drops:
        before.add(one)
    second = after.open_view(b"k", conditions)
    expected, actual = before.shown(first, Span()), after.shown(second, Span())
    assert expected["signatures"] == actual["signatures"]
    assert expected["heat"] == actual["heat"]
    assert sum(map(predicate(conditions), drops)) == actual["signatures_in_all"]


def test_signatures_are_bounded_and_the_oldest_is_forgotten() -> None:
    view = View([], predicate([]))
    made = live()
    made._all = view
    for number in range(SIGNATURES + 3):
        made.add(record(f"1:{number}"))
    assert 3 == view.forgotten
    assert view.find("1:2") is None
    assert view.find("1:3") is not None


def test_a_drop_is_found_by_its_number_and_then_by_its_signature() -> None:
    made = live(record("1:aa", NOW - 1), record("1:aa", NOW))
    first = made.find("1:aa", 1)
    assert first is not None
    assert rfc3339(NOW - 1) == first.time
    later = made.find("1:aa", 77)
    assert later is not None
    assert rfc3339(NOW) == later.time
    assert made.find("1:zz", None) is None


def test_filters_at_the_same_time_are_bounded() -> None:
    made = live()
    for number in range(VIEWS):
        made.open_view(b"%d" % number, [Condition("port", [str(number)])])
    with pytest.raises(TooManyError):
        made.open_view(b"x", [Condition("port", ["1"])])
    made.close_view(b"0")
    made.open_view(b"x", [Condition("port", ["1"])])


def test_bytes_are_shown_with_offset_and_text() -> None:
    assert ["0000  41 00 42" + " " * 40 + " A.B"] == hexadecimal(b"A\0B")
    assert 2 == len(hexadecimal(bytes(17)))


# Who is let in


def test_another_address_than_loopback_needs_a_token_or_client_certificates() -> None:
    outside = read_address("192.0.2.1:9111")
    check(read_address("[::1]:9111"), None, None)
    check(outside, "t" * 16, None)
    check(outside, None, Tls("c", "k", "ca"))
    for tls in (None, Tls("c", "k", None)):
        with pytest.raises(ConfigError, match=r"can be reached from other hosts.*--token-file"):
            check(outside, None, tls)
    with pytest.raises(ConfigError, match="the token has 3 characters; expected at least 16"):
        check(outside, "abc", None)


@pytest.mark.parametrize("text", ["9111", "example.org:80", "127.0.0.1:99999", "127.0.0.1:"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected ADDRESS:PORT"):
        read_address(text)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("127.0.0.1:9111", True),
        ("localhost", True),
        ("LOCALHOST.:1", True),
        ("[::1]:9111", True),
        ("127.0.0.2", True),
        ("192.0.2.7", False),
        ("evil.example:9111", False),
        ("127.0.0.1.evil.example", False),
        ("localhost@evil.example", False),
        ("127.0.0.1:9111:1", False),
        ("[::1", False),
        ("", False),
    ],
)
def test_names_of_others_are_refused_on_loopback(header: str, expected: bool) -> None:
    assert expected is Hosts(Address("127.0.0.1", 9111)).allow(header)


def test_names_that_the_user_gives_are_allowed() -> None:
    hosts = Hosts(Address("192.0.2.1", 9111), ["Lab.example"])
    assert hosts.allow("lab.example:9111")
    assert hosts.allow("192.0.2.1:9111")
    assert not hosts.allow("192.0.2.2:9111")
    assert not hosts.allow("other.example")


def test_the_token_and_the_session_admit_and_nothing_else() -> None:
    tokens = Tokens("correct horse battery", 9111)
    cookie = f"a=b; {tokens.cookie}={tokens.session}"
    assert tokens.admits("Bearer correct horse battery", "")
    assert tokens.admits("", cookie)
    assert not tokens.admits("Basic correct horse battery", "")
    assert not tokens.admits("Bearer correct horse batter", "")
    assert not tokens.admits("", f"{tokens.cookie}=correct horse battery")
    assert not tokens.admits("Bearer \udcff", f"{tokens.cookie}=\udcff")
