"""Which entry is for a bridge, by its name and by the 15 bytes of it that OpenFlow tells."""

from __future__ import annotations

import pytest

from ryu_droplog.config.endpoint import Accepted, UnixEndpoint
from ryu_droplog.config.settings import Bridge
from ryu_droplog.connections.entries import entry_named, waiting_entry
from ryu_droplog.model.bridge_name import may_be_cut, port_name_of
from ryu_droplog.model.errors import SwitchError

INT = Bridge("br-int", None, "auto", UnixEndpoint("/run/br-int.mgmt"))
LONG = Bridge("br-with-a-long-name", None, "auto", UnixEndpoint("/run/br-long.mgmt"))
WAITS = Bridge("br-that-waits-for-us", None, "auto", Accepted())
ANY = Bridge("*", None, "auto", Accepted())


@pytest.mark.parametrize(
    ("name", "expected"),
    [("br-that-waits-f", WAITS), ("br-that-waits-for-us", WAITS), ("br-ex", ANY), ("b\u00fc", ANY)],
)
def test_name_is_served_by_the_entry_that_waits_for_it_or_that_takes_any(
    name: str, expected: Bridge
) -> None:
    assert expected is waiting_entry([ANY, INT, LONG, WAITS], name)


@pytest.mark.parametrize("name", ["br-int", "br-with-a-long-", "br-with-a-long-name"])
def test_name_of_an_entry_that_does_not_wait_is_refused(name: str) -> None:
    with pytest.raises(SwitchError) as caught:
        waiting_entry([ANY, INT, LONG, WAITS], name)
    assert f"called {name!r}, and that one is not to connect to us (unix:/run/" in str(caught.value)


@pytest.mark.parametrize("name", ["", ".", "..", "*", "a/b", "a b", "a\n", "\x1b[2J", "\ufffd"])
def test_name_that_is_none_is_refused_in_plain_text(name: str) -> None:
    with pytest.raises(SwitchError, match="which is no name of a bridge") as caught:
        waiting_entry([ANY, INT], name)
    assert str(caught.value).isprintable()


def test_name_that_no_entry_takes_is_refused() -> None:
    with pytest.raises(SwitchError) as caught:
        waiting_entry([INT, WAITS], "br-ex")
    assert "the bridge there is called 'br-ex', and is not asked for" == str(caught.value)


# Names longer than OpenFlow tells


def test_port_name_is_the_first_15_bytes_and_never_half_a_character() -> None:
    assert "br-int" == port_name_of("br-int")
    assert "br-with-a-long-" == port_name_of("br-with-a-long-name")
    assert "\u00e9" * 7 + "\ufffd" == port_name_of("\u00e9" * 8)
    assert [False, True, True] == [may_be_cut("x" * n) for n in (14, 15, 16)]


def test_entry_of_a_long_name_is_found_by_the_whole_of_it() -> None:
    other = Bridge("br-with-a-long-tail", None, "auto", UnixEndpoint("/run/br-tail.mgmt"))
    assert LONG is entry_named([ANY, other, LONG], LONG.name)
    assert other is entry_named([ANY, other, LONG], other.name)
    assert ANY is entry_named([ANY, other, LONG], "br-with-a-long-")
    assert entry_named([other, LONG], "br-with-a-long-") is None


def test_entry_that_waits_is_taken_before_one_with_the_same_first_bytes() -> None:
    same = Bridge("br-that-waits-f", None, "auto", UnixEndpoint("/run/br-that.mgmt"))
    assert WAITS is waiting_entry([same, WAITS], "br-that-waits-f")
