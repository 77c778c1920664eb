"""The signature that is made without a record is the record's, whatever the packet."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from record_drops import FLOW, context, dropped, place
from test_record import FRAMES

from ryu_droplog.plugins.parts import ENCODERS
from ryu_droplog.records import signature as module
from ryu_droplog.records.signature import Signatures

ENCODE = ENCODERS.get("native")(context())


@pytest.mark.parametrize("name", FRAMES)
def test_signature_is_the_records_at_every_length_of_the_frame(name: str) -> None:
    signatures = Signatures()
    frame = bytes(FRAMES[name])
    for length in range(len(frame) + 1):
        for where in (place(), place("DENY", FLOW, "no-http")):
            drop = dropped(frame[:length], where)
            expected = json.loads(ENCODE(drop))["signature"].encode()
            assert expected == signatures.of(drop)
            assert expected == signatures.of(drop), "the same when it is remembered"


@given(st.sampled_from(sorted(FRAMES)), st.data())
def test_signature_of_odd_bytes_is_the_records(name: str, data: st.DataObject) -> None:
    frame = bytearray(bytes(FRAMES[name]))
    for _ in range(3):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    drop = dropped(bytes(frame))
    signatures = Signatures()
    signatures.of(dropped(bytes(FRAMES[name])))
    assert json.loads(ENCODE(drop))["signature"].encode() == signatures.of(drop)


def test_what_is_remembered_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CACHE_SIZE", 2)
    signatures = Signatures()
    places = [place(table=f"T{number}") for number in range(5)]
    for where in places:
        signatures.of(dropped(None, where))
    assert 2 >= len(signatures._remembered)
