"""The cookie of our flows, bit by bit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ryu_droplog.model import cookie
from ryu_droplog.model.cookie import Cookie, unpack

COOKIES = st.builds(
    Cookie,
    st.booleans(),
    st.integers(0, cookie.GENERATION_MAX),
    st.integers(0, 254),
    st.integers(0, cookie.SLOT_MAX),
)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (Cookie(False, 0, 0), 0x0000D40700000000),
        (Cookie(True, 0, 0), 0x4000D40700000000),
        (Cookie(True, 0xABCDEF, 0), 0x4000D407ABCDEF00),
        (Cookie(True, 1, 4), 0x4000D40700000104),
        (Cookie(False, 0xFFFFFF, 254), 0x0000D407FFFFFFFE),
        (Cookie(True, 1, 4, 1), 0x4001D40700000104),
        (Cookie(False, 1, 4, 0x3FFF), 0x3FFFD40700000104),
    ],
)
def test_cookie_has_its_parts_where_the_drawing_shows_them(parts: Cookie, expected: int) -> None:
    assert expected == parts.pack()
    assert parts == unpack(expected)


@given(COOKIES)
def test_cookie_packed_and_unpacked_is_the_same(parts: Cookie) -> None:
    assert parts == unpack(parts.pack())


@given(COOKIES)
def test_cookie_with_table_drop_shows_under_the_mask_of_operators(parts: Cookie) -> None:
    """`ovs-ofctl dump-flows br-int cookie=0x4000000000000000/0x4000000000000000`."""
    assert parts.table_drop == bool(parts.pack() & 0x4000000000000000)


@given(st.integers(0, cookie.ALL_BITS))
def test_cookie_is_ours_exactly_when_it_fits_the_family(number: int) -> None:
    assert (number & cookie.FAMILY_MASK == cookie.FAMILY) == (unpack(number) is not None)


@pytest.mark.parametrize(
    "number",
    [0, 0x4000000000000000, 0x4000D40800000000, 0x8000D40700000000, 0xD407, cookie.ALL_BITS],
    ids=hex,
)  # fmt: skip
def test_cookie_of_others_is_not_ours(number: int) -> None:
    assert None is unpack(number)
