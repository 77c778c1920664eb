"""Whatever a switch says of a packet: an explanation raises nothing and breaks no line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st
from lasting import examples
from test_fuzz_packet import FRAMES, mutated

from ryu_droplog.model.drop import Drop
from ryu_droplog.model.location import DropFlow, Location
from ryu_droplog.ovsdb.southbound_rows import Directory
from ryu_droplog.owners.base import Names
from ryu_droplog.owners.detection import owner_named
from ryu_droplog.owners.ovn import in_logical_terms
from ryu_droplog.packet.ethernet import decode
from ryu_droplog.sinks.formats import Encoding, as_json, text_format

NAMES = st.text(st.characters(), max_size=20)
NUMBERS = st.integers(0, 4)
FIELDS = ((0x8000, 0), (0x8000, 2), (1, 5), (1, 6), (1, 14), (1, 15), (1, 105), (1, 107))
"""In port, metadata, registers, conntrack state and mark."""


@st.composite
def field(draw: st.DrawFn) -> bytes:
    """A field that an explanation looks at, of any length; often with a small value in it."""
    oxm_class, number = draw(st.sampled_from(FIELDS))
    masked = draw(st.booleans())
    value = draw(
        st.one_of(
            st.binary(max_size=255),
            st.builds(int.to_bytes, st.integers(0, 255), st.just(4), st.just("big")),
        )
    )
    return oxm_class.to_bytes(2, "big") + bytes((number << 1 | masked, len(value))) + value


METADATA = st.one_of(st.binary(max_size=300), st.lists(field(), max_size=9).map(b"".join))
ALL_FRAMES = st.one_of(st.binary(max_size=128), mutated(FRAMES))


@given(
    ALL_FRAMES,
    METADATA,
    st.one_of(st.integers(0, 255), st.sampled_from([71, 72, 73, 81, 82, 93])),
    st.dictionaries(NUMBERS, NAMES),
    st.dictionaries(NUMBERS, st.tuples(NAMES, st.sampled_from(["switch", "router"]))),
    st.dictionaries(st.tuples(NUMBERS, NUMBERS), NAMES),
    st.dictionaries(st.sampled_from(["stage", "acl", "logical"]), NAMES),
)
@settings(max_examples=examples(400), deadline=None)
def test_any_packet_is_explained_on_one_line_in_every_format(
    frame: bytes,
    metadata: bytes,
    table: int,
    port_names: Mapping[int, str],
    datapaths: Mapping[int, tuple[str, str]],
    ports: Mapping[tuple[int, int], str],
    names: Mapping[str, str],
) -> None:
    def everything(drop: Drop) -> dict[str, str | int]:
        names = Names(port_names)
        return {
            **owner_named("neutron").explain(drop, names),
            **in_logical_terms(drop, Directory(datapaths, ports)),
            **owner_named("opflex").explain(drop, names),
        }

    flow = DropFlow(1, 2, "tcp", names)
    location = Location(("br-int", table), "br-int", table, "T", "DENY", flow=flow)
    drop = decode(frame, 1.5, location, metadata)
    for name in get_args(Encoding):
        form = text_format(name, everything)
        for text in (form.full(drop), form.redirected(drop), form.bare(drop)):
            assert text.isascii()
            assert not set(text) & set(map(chr, range(32)))
    told = json.loads(as_json(drop, everything))
    assert everything(drop) == told.get("owner", {})
    assert names == {key: value for key, value in told["flow"].items() if key in names}
