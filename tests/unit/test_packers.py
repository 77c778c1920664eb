"""The encodings in msgpack: what JSON says, to the letter."""

from __future__ import annotations

import json

import msgpack
import pytest
from msgspec.structs import replace
from record_drops import FLOW, HOSTILE, context, dropped, place
from test_encoders import drops

from ryu_droplog.plugins.parts import ENCODERS, PACKERS


@pytest.mark.parametrize("payload", ["headers", "full"])
@pytest.mark.parametrize("name", PACKERS.names())
def test_object_in_msgpack_is_the_one_in_json(name: str, payload: str) -> None:
    settings = context(payload=payload)
    encode, pack = ENCODERS.get(name)(settings), PACKERS.get(name)(settings)
    count = 0
    for drop in drops():
        for turn in (drop, replace(drop)):  # a flow that is remembered, too
            assert json.loads(encode(turn)) == msgpack.unpackb(pack(turn))
            count += 1
    assert count > 100


@pytest.mark.parametrize("name", PACKERS.names())
def test_name_that_utf8_cannot_have_is_refused(name: str) -> None:
    location = place("DENY", FLOW, HOSTILE)
    with pytest.raises(UnicodeEncodeError):
        PACKERS.get(name)(context())(dropped(location=location))
