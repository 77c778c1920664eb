"""Text of others, as the one function leaves it."""

from __future__ import annotations

import io
import logging

import pytest
from hostile import NAMES, check
from hypothesis import given
from hypothesis import strategies as st

from ryu_droplog.model.errors import SwitchError
from ryu_droplog.text import plain_log
from ryu_droplog.text.printable import CUT, NAME, plain, plain_data, printable, word

ANY = st.text(st.characters(), max_size=400)  # with surrogates


@pytest.mark.parametrize(
    "name",
    ["br-int", "ls0", "no http", "größe", "内部网络", "web (prod) #1", "neutron-1b4e28ba", "a\\b"],
)
def test_ordinary_name_stays_as_it_is(name: str) -> None:
    assert name == printable(name)
    assert name == plain(name)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\nb\r\t", "a\\nb\\r\\t"),
        ("\x1b[2J\x9b\x7f\0", "\\x1b[2J\\x9b\\x7f\\x00"),
        ("\u202e\u2028\u200b\ud800\U000e0041", "\\u202e\\u2028\\u200b\\ud800\\U000e0041"),
        ("a\u00a0b", "a\\xa0b"),
    ],
)
def test_what_a_terminal_obeys_is_shown_as_python_writes_it(name: str, shown: str) -> None:
    assert shown == printable(name)


def test_word_has_no_space_quote_or_equals_sign() -> None:
    assert 'a\\x20SRC\\x3d1\\x22"'.replace('"', "") == word('a SRC=1"')
    assert "größe" == word("größe")


def test_long_name_is_cut_with_a_mark() -> None:
    assert "a" * NAME == printable("a" * NAME)
    assert "a" * NAME + CUT == printable("a" * (NAME + 1))
    assert "\\n\\n..." == printable("\n" * 9, 4)
    assert "\\x20" + CUT == word("  ", 4)


@given(ANY, st.integers(0, 50))
def test_anything_becomes_one_printable_line_of_bounded_length(text: str, limit: int) -> None:
    for function in (printable, word):
        shown = function(text, limit)
        assert shown.isprintable()
        assert len(shown) <= limit + len(CUT)
        assert shown == shown.encode().decode()
        assert shown == function(shown, limit)
    assert not set(word(text)) & set(' ="')


@given(ANY)
def test_text_of_several_lines_keeps_them_and_nothing_else(text: str) -> None:
    shown = plain(text)
    assert shown.count("\n") == text.count("\n")
    assert all(line.isprintable() for line in shown.split("\n"))
    assert shown == plain(shown)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_error_is_one_line(name: str) -> None:
    if len(name) < 1000:  # an error's text has a bound where its parts enter
        check(str(SwitchError(f"{name}: is not there")))


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_data_of_an_answer_is_printable_in_every_place(name: str) -> None:
    [(key, value)] = plain_data({name: [name, 1, None, {"a": name}]}).items()
    texts = [key, value[0], value[3]["a"]]
    assert all(text.isprintable() for text in texts)
    assert [1, None] == value[1:3]


def logged(loggers: tuple[str, ...] | None = None) -> tuple[logging.Logger, io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    plain_log.guard([handler], loggers)
    plain_log.guard([handler], loggers)  # twice is as once
    logger = logging.Logger("ryu_droplog.test")
    logger.addHandler(handler)
    return logger, stream


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_record_is_one_line_whatever_is_in_it(name: str) -> None:
    logger, stream = logged(plain_log.OURS)
    logger.info("the bridge %s is gone", name)
    assert stream.getvalue().startswith("INFO the bridge ")
    if len(name) < 10_000:
        check(stream.getvalue().removesuffix("\n"))
    else:
        assert 1 == stream.getvalue().count("\n")


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_traceback_cannot_be_taken_for_records(name: str) -> None:
    logger, stream = logged()
    try:
        raise ValueError(name)
    except ValueError:
        logger.exception("%s has ended with an error", name)
    first, *rest = stream.getvalue().removesuffix("\n").split("\n")
    assert first.startswith("ERROR ")
    assert "Traceback (most recent call last):" in rest[0]
    assert all(line.startswith(plain_log.INDENT) and line.isprintable() for line in rest)


def test_records_of_other_applications_stay_as_they_are() -> None:
    logger, stream = logged(plain_log.OURS)
    logger.name = "other.app"
    logger.info("two\nlines")
    assert "INFO two\nlines\n" == stream.getvalue()
