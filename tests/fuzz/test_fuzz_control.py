"""Whatever the control files hold: no exception, bounded notices, and no drop that is missed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st
from lasting import examples

from ryu_droplog.config.capture_spec import FlowSpec
from ryu_droplog.config.opflex_directory import MAX_NOTICES, Control, ControlDirectory
from ryu_droplog.model.drop import Arp, Drop, IPv4, IPv6, Tcp, Udp
from ryu_droplog.model.location import Location
from ryu_droplog.openflow.capture_match import MAX_MATCHES, matches
from ryu_droplog.openflow.oxm_match import fields, overlap
from ryu_droplog.packet.ethernet import decode
from ryu_droplog.processing.capture_filter import CaptureFilter

ORIGIN = Location(("br-int", 4), "br-int", 4, "TABLE_4", "MISS")

KEYS = [
    *("drop-log-enable", "drop-log-disable", "drop-log-mode", "drop-log-print-tenant"),
    *("drop-log-pruning", "uuid", "name", "sip", "src-ip", "dport", "dest-port", "tunnel-id"),
    *("outer-src-ip-address", "inner-src-ip-address", "inner-dst-ip-address", "inner-src-mac"),
    *("inner-eth-type", "inner-ip-proto", "inner-dst-port"),
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.sampled_from(["true", "80", "0x800", "10.0.0.1", "::1", "0:0:0:0:0:1", "flow-based", "²"]),
)
NAMES = st.one_of(st.sampled_from(KEYS), st.text(max_size=8))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=6)),
    max_leaves=12,
)
CONTENTS = st.one_of(
    st.binary(max_size=64),
    VALUES.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(NAMES, VALUES, max_size=8).map(lambda value: json.dumps(value).encode()),
)
FILES = st.dictionaries(
    st.sampled_from(
        ["a.droplogcfg", "b.droplogcfg", "a.dropflowcfg", "b.dropflowcfg", "c.dropflowcfg"]
    ),
    CONTENTS,
)


def parse(filter_fields: Mapping[str, object]) -> tuple[str, ...]:
    if "sip" in filter_fields and "dport" in filter_fields:
        raise ValueError("both")
    return tuple(filter_fields)


@given(st.lists(FILES, min_size=1, max_size=4))
@settings(max_examples=examples(400), deadline=None)
def test_any_files_are_read_or_refused(rounds: list[dict[str, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = ControlDirectory(name, parse)
        for files in rounds:
            for old in Path(name).iterdir():
                old.unlink()
            for file, content in files.items():
                (Path(name) / file).write_bytes(content)
            before = directory.state
            changed = directory.poll()
            assert changed == (directory.state != before)
            told = len(directory.notices)
            state = directory.state
            assert not directory.poll()
            assert (state, told) == (directory.state, len(directory.notices))
            assert state.source in {"", *files}
            assert len({flow.uuid for flow in state.flows}) == len(state.flows)
            matches(state.flows)
        assert len(directory.notices) <= min(MAX_NOTICES, 2 * sum(map(len, rounds)) + len(rounds))
        assert all(notice.isprintable() for notice in directory.notices)
        for old in Path(name).iterdir():
            old.unlink()
        directory.poll()
        assert Control() == directory.state


# Few values, so that specifications and packets meet.
MACS = [bytes(5) + b"\x01", bytes(5) + b"\x02"]
V4 = [bytes(3) + b"\x01", bytes(3) + b"\x02"]
V6 = [bytes(15) + b"\x01", bytes(15) + b"\x02"]
ETHERTYPES = [0x0800, 0x86DD, 0x0806, 0x8100, 0x88A8, 46]
PROTOCOLS = [0, 1, 6, 17, 44, 58, 132]
PORTS = [0, 80]
TUNNELS = [0, 7]


def perhaps(values: list[int] | list[bytes]) -> st.SearchStrategy[int | bytes | None]:
    return st.one_of(st.none(), st.none(), st.sampled_from(values))


SPECS = st.lists(
    st.builds(
        FlowSpec,
        uuid=st.just("u"),
        outer_src=perhaps(V4),
        outer_dst=perhaps(V4),
        inner_src=perhaps([*V4, *V6]),
        inner_dst=perhaps([*V4, *V6]),
        src_mac=perhaps(MACS),
        dst_mac=perhaps(MACS),
        eth_type=perhaps(ETHERTYPES),
        ip_proto=perhaps(PROTOCOLS),
        src_port=perhaps(PORTS),
        dst_port=perhaps(PORTS),
        tunnel_id=perhaps(TUNNELS),
    ),
    max_size=5,
)


@st.composite
def drops(draw: st.DrawFn) -> Drop:
    """A drop of a frame that is whole, perhaps from a tunnel."""
    ports = b"".join(draw(st.sampled_from(PORTS)).to_bytes(2, "big") for _ in range(2))
    protocol = draw(st.sampled_from(PROTOCOLS))
    ethertype = draw(st.sampled_from(ETHERTYPES))
    payload = ports + bytes.fromhex("00000000 00000000 50020000 00000000")
    if ethertype == 0x0800:
        source, target = draw(st.sampled_from(V4)), draw(st.sampled_from(V4))
        header = bytes.fromhex("45000028 00000000 40") + bytes((protocol,)) + bytes(2)
        payload = header + source + target + payload
    elif ethertype == 0x86DD:
        source, target = draw(st.sampled_from(V6)), draw(st.sampled_from(V6))
        header = bytes.fromhex("60000000 0014") + bytes((protocol, 64))
        payload = header + source + target + payload
    elif ethertype == 0x0806:
        payload = bytes(14) + draw(st.sampled_from(V4)) + bytes(6) + draw(st.sampled_from(V4))
    macs = draw(st.sampled_from(MACS)) + draw(st.sampled_from(MACS))
    tag = draw(st.sampled_from([b"", bytes.fromhex("81000005")]))
    metadata = b""
    if tunnel := draw(st.sampled_from([*TUNNELS, None])):
        metadata += bytes.fromhex("80004c08") + tunnel.to_bytes(8, "big")
        metadata += bytes.fromhex("00013e04") + draw(st.sampled_from(V4))
        metadata += bytes.fromhex("00014004") + draw(st.sampled_from(V4))
    return decode(macs + tag + ethertype.to_bytes(2, "big") + payload, 0.0, ORIGIN, metadata)


def as_the_switch_sees(drop: Drop) -> dict[tuple[int, int], int]:
    """The fields of the packet, as Open vSwitch extracts them (lib/flow.c)."""
    known = {(0x8000, 38): 0, (1, 31): 0, (1, 32): 0}
    known |= {field: value for field, (value, _, _) in fields(drop.metadata).items()}
    known[0x8000, 3], known[0x8000, 4] = (int.from_bytes(x, "big") for x in (drop.dmac, drop.smac))
    known[0x8000, 5] = drop.ethertype
    if drop.ethertype < 0x0600:
        known[0x8000, 5] = 0x05FF
    elif drop.ethertype in (0x8100, 0x88A8):
        known[0x8000, 5] = 0  # what is behind the tag
    if isinstance(drop.l3, (IPv4, IPv6)):
        four = isinstance(drop.l3, IPv4)
        src, dst = ((0x8000, 11), (0x8000, 12)) if four else ((0x8000, 26), (0x8000, 27))
        known[src], known[dst] = (int.from_bytes(x, "big") for x in (drop.l3.src, drop.l3.dst))
        if four or drop.protocol not in (0, 43, 44, 51, 60):
            known[0x8000, 10] = drop.protocol
    if isinstance(drop.l4, (Tcp, Udp)):
        src, dst = ((0x8000, 13), (0x8000, 14))
        if isinstance(drop.l4, Udp):
            src, dst = ((0x8000, 15), (0x8000, 16))
        known[src], known[dst] = drop.l4.src_port, drop.l4.dst_port
    return known


@st.composite
def fitting(draw: st.DrawFn) -> tuple[FlowSpec, Drop]:
    """A drop, and a specification that names some of what it has."""
    drop = draw(drops())
    outer = {field: value for field, (value, _, _) in fields(drop.metadata).items()}
    has: dict[str, object] = {
        "src_mac": drop.smac,
        "dst_mac": drop.dmac,
        "eth_type": drop.ethertype,
        "tunnel_id": outer.get((0x8000, 38), 0),
        "outer_src": outer.get((1, 31), 0).to_bytes(4, "big"),
        "outer_dst": outer.get((1, 32), 0).to_bytes(4, "big"),
    }
    if isinstance(drop.l3, (IPv4, IPv6)):
        has |= {"inner_src": drop.l3.src, "inner_dst": drop.l3.dst, "ip_proto": drop.protocol}
    if isinstance(drop.l4, (Tcp, Udp)):
        has |= {"src_port": drop.l4.src_port, "dst_port": drop.l4.dst_port}
    named = draw(st.sets(st.sampled_from(sorted(has))))
    return FlowSpec("u", **{name: has[name] for name in named}), drop  # type: ignore[arg-type]


@given(fitting(), SPECS)
@settings(max_examples=examples(2500), deadline=None)
@example((FlowSpec("u", eth_type=46), decode(bytes(12) + b"\x00\x2e", 0.0, ORIGIN, b"")), [])
def test_drop_that_fits_is_matched(pair: tuple[FlowSpec, Drop], others: list[FlowSpec]) -> None:
    """Alone, and among others with which the specification may have to be joined."""
    spec, drop = pair
    known = as_the_switch_sees(drop)
    for specs in ([spec], [*others, spec]):
        assert CaptureFilter(specs).fits(drop)
        assert any(
            all(known.get(field) == value for field, (value, _, _) in fields(match).items())
            for match in matches(specs)
        )


@given(SPECS, drops())
@settings(max_examples=examples(800), deadline=None)
def test_drop_fits_as_each_specification_says(specs: list[FlowSpec], drop: Drop) -> None:
    assert any(_fits(spec, drop) for spec in specs) == CaptureFilter(specs).fits(drop)


def _fits(spec: FlowSpec, drop: Drop) -> bool:
    """Field by field, as a reader would."""
    inner = drop.l3 if drop.l3 is not None and not isinstance(drop.l3, Arp) else None
    ports = drop.l4 if isinstance(drop.l4, (Tcp, Udp)) else None
    tunnel = {field: value for field, (value, _, _) in fields(drop.metadata).items()}
    outer = [tunnel.get((1, number), 0).to_bytes(4, "big") for number in (31, 32)]
    pairs: list[tuple[object, object]] = [
        (spec.outer_src, outer[0]),
        (spec.outer_dst, outer[1]),
        (spec.tunnel_id, tunnel.get((0x8000, 38), 0)),
        (spec.src_mac, drop.smac),
        (spec.dst_mac, drop.dmac),
        (spec.eth_type, drop.ethertype),
        (spec.ip_proto, drop.protocol),
        (spec.inner_src, inner and inner.src),
        (spec.inner_dst, inner and inner.dst),
        (spec.src_port, ports and ports.src_port),
        (spec.dst_port, ports and ports.dst_port),
    ]
    return all(wanted is None or wanted == there for wanted, there in pairs)


@given(st.lists(SPECS, max_size=30).map(lambda lists: [spec for each in lists for spec in each]))
@settings(max_examples=examples(400), deadline=None)
def test_matches_never_overlap_and_are_few(specs: list[FlowSpec]) -> None:
    found = matches(specs)
    assert len(found) <= MAX_MATCHES
    assert not any(overlap(one, other) for one, other in combinations(found, 2))
    assert found == matches(specs[::-1])
