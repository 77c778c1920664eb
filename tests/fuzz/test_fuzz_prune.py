"""Whatever the filters and packets: the tables say the same as one look at each field would."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lasting import examples
from test_fuzz_packet import FRAMES, ORIGIN, mutated

from ryu_droplog.config.filter_spec import (
    DEFAULTS,
    FilterError,
    FilterSpec,
    fields,
    only,
    parse_filter,
)
from ryu_droplog.model.drop import Arp, Drop, IPv4, IPv6, Tcp, Udp
from ryu_droplog.packet.ethernet import decode
from ryu_droplog.processing.filter import FilterSet

Masked = tuple[bytes, bytes]
Numbers = tuple[tuple[int, int], ...]


def covers(masked: Masked | None, address: bytes) -> bool:
    if masked is None:
        return True
    value, mask = masked
    if len(address) != len(value):
        return False
    return value == bytes(a & b for a, b in zip(address, mask, strict=True))


def among(numbers: Numbers | None, number: int) -> bool:
    return numbers is None or any(low <= number <= high for low, high in numbers)


def holds(one: FilterSpec, drop: Drop) -> bool:
    """Field by field, as the documentation says it."""
    source = target = b""
    if isinstance(drop.l3, Arp):
        source, target = drop.l3.sender_ip, drop.l3.target_ip
    elif isinstance(drop.l3, (IPv4, IPv6)):
        source, target = drop.l3.src, drop.l3.dst
    sport = dport = -1
    if isinstance(drop.l4, (Tcp, Udp)):
        sport, dport = drop.l4.src_port, drop.l4.dst_port
    wanted = one.values.get
    return (
        covers(wanted("sip"), source)
        and covers(wanted("dip"), target)
        and covers(wanted("smac"), drop.smac)
        and covers(wanted("dmac"), drop.dmac)
        and wanted("ethertype") in (None, drop.ethertype)
        and among(wanted("ip_proto"), drop.protocol)
        and among(wanted("sport"), sport)
        and among(wanted("dport"), dport)
    )


def naive(filters: list[FilterSpec], drop: Drop) -> str | None:
    return next((one.name for one in filters if holds(one, drop)), None)


def masked(address: bytes, mask: bytes) -> Masked:
    return bytes(a & b for a, b in zip(address, mask, strict=True)), mask


def prefix(length: int, bits: int) -> bytes:
    return (((1 << bits) - 1) << (length * 8 - bits)).to_bytes(length, "big")


@st.composite
def mask(draw: st.DrawFn, length: int) -> bytes:
    """Of a prefix, or any."""
    bits = st.integers(0, length * 8)
    return draw(
        st.one_of(
            bits.map(lambda n: prefix(length, n)), st.binary(min_size=length, max_size=length)
        )
    )


@st.composite
def near(draw: st.DrawFn, known: list[bytes]) -> Masked:
    """An address of the packet's or another one, and its mask."""
    own = st.sampled_from(known)
    length = draw(st.sampled_from(sorted({len(address) for address in known})))
    address = draw(st.one_of(own, st.binary(min_size=length, max_size=length)))
    return masked(address, draw(mask(len(address))))


def numbers(known: list[int]) -> st.SearchStrategy[Numbers]:
    """One of these numbers, or some of them and ranges between them, as a filter has them."""
    pairs = st.lists(st.tuples(st.sampled_from(known), st.sampled_from(known)), min_size=1)
    texts = pairs.map(lambda chosen: [f"{min(pair)}-{max(pair)}" for pair in chosen])
    several = texts.map(lambda forms: parse_filter({"name": "x", "dport": forms}).values["dport"])
    return st.one_of(st.sampled_from(known).map(only), several)


@st.composite
def cases(draw: st.DrawFn, frames: st.SearchStrategy[bytes]) -> tuple[list[FilterSpec], Drop]:
    """A drop, and filters of which many hold for one field of it or another."""
    drop = decode(draw(frames), 0.0, ORIGIN, b"")
    ips = [bytes(4), bytes(16)]
    if isinstance(drop.l3, Arp):
        ips += [drop.l3.sender_ip, drop.l3.target_ip]
    elif drop.l3 is not None:
        ips += [drop.l3.src, drop.l3.dst]
    macs = [bytes(6), *filter(None, [drop.smac, drop.dmac])]
    ports = [0, 5353, 65535]
    if isinstance(drop.l4, (Tcp, Udp)):
        ports += [drop.l4.src_port, drop.l4.dst_port]

    values: dict[str, st.SearchStrategy[Any]] = {
        "sip": near(ips),
        "dip": near(ips),
        "smac": near(macs),
        "dmac": near(macs),
        "ethertype": st.sampled_from([0, 0x800, 0x806, 0x86DD, max(drop.ethertype, 0)]),
        "ip_proto": numbers([0, 6, 17, 255, max(drop.protocol, 0)]),
        "sport": numbers(ports),
        "dport": numbers(ports),
    }
    filters = []
    for number in range(draw(st.integers(0, 20))):
        # Few fields as a rule: of many, one would nearly always not hold.
        keys = draw(st.sets(st.sampled_from(list(values)), min_size=1, max_size=3))
        wanted = {key: draw(values[key]) for key in sorted(keys)}
        filters.append(FilterSpec(str(number), **wanted))
    return filters, drop


def check(filters: list[FilterSpec], drop: Drop) -> None:
    assert naive(filters, drop) == FilterSet(filters).match(drop)
    for one in filters:
        expected = one.name if holds(one, drop) else None
        assert expected == FilterSet([one]).match(drop)


@given(cases(st.one_of(st.binary(max_size=80), mutated(FRAMES))))
@settings(max_examples=examples(300), deadline=None)
def test_tables_say_what_a_look_at_each_field_says(case: tuple[list[FilterSpec], Drop]) -> None:
    check(*case)


@pytest.mark.parametrize("frame", FRAMES)
@given(data=st.data())
@settings(max_examples=examples(60), deadline=None)
def test_tables_say_it_of_each_kind_of_whole_packet(frame: bytes, data: st.DataObject) -> None:
    check(*data.draw(cases(st.just(frame))))


DEFAULT_PRUNE = FilterSet(DEFAULTS)
CHATTER = [
    bytes.fromhex(text)
    for text in (
        "0180c200000e 0022bdf819ff 88cc 0207" + "00" * 44,
        "01005e000016 0022bdf819ff 0800 46c00028 00004000 01020000 0a000001 e0000016 94040000",
        "3333000000fb 0022bdf819ff 86dd 60000000 00083aff" + "fe80" * 8 + "ff02" * 8 + "87000000",
        "3333000000fb 0022bdf819ff 86dd 60000000 00080001" + "fe80" * 8 + "ff02" * 8 + "3a00" * 4,
        "3333000000fb 0022bdf819ff 86dd 60000000 000811ff"
        + "fe80" * 8
        + "ff02" * 8
        + "14e914e900080000",
        "01005e0000fb 0022bdf819ff 0800 4500001c 00000000 ff110000 0a000001 e00000fb"
        + "14e914e900080000",
    )
]


@given(st.one_of(st.binary(max_size=80), mutated(CHATTER), mutated(FRAMES)))
@settings(max_examples=examples(1000), deadline=None)
def test_defaults_say_what_a_look_at_each_field_says(frame: bytes) -> None:
    drop = decode(frame, 0.0, ORIGIN, b"")
    assert naive(list(DEFAULTS), drop) == DEFAULT_PRUNE.match(drop)


def test_seeds_are_left_out() -> None:
    """The mutations start from one frame of each default rule."""
    found = [DEFAULT_PRUNE.match(decode(frame, 0.0, ORIGIN, b"")) for frame in CHATTER]
    assert [one.name for one in DEFAULTS] == found


KEYS = ["name", "sip", "dip", "smac", "dmac", "ip_proto", "sport", "dport"]
KEYS += ["ethertype", "bridge", "table", "reason"]
PIECES = ["10.0.0.1", "fd00::1", "::", "/", "0", "8", "128", "255", "65535", "aa:bb:cc:dd:ee:ff"]
TEXTS = st.one_of(
    st.text(max_size=70),
    st.lists(st.sampled_from([*PIECES, ".", ":", "-", " ", "\0", "%", "tcp"]), max_size=6).map(
        "".join
    ),
)
ATOMS = st.one_of(
    TEXTS,
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-1, 70_000),
    st.floats(),
    st.binary(),
)
VALUES = st.one_of(ATOMS, st.lists(ATOMS, max_size=2), st.dictionaries(TEXTS, ATOMS, max_size=2))
MAPPINGS = st.dictionaries(st.one_of(*[st.sampled_from(KEYS)] * 5, ATOMS), VALUES, max_size=8)
NAMED = st.builds(lambda form, name: {**form, "name": name}, MAPPINGS, st.sampled_from("xy"))


@given(st.one_of(MAPPINGS, NAMED, VALUES))
@settings(max_examples=examples(2000), deadline=None)
@example({"name": "x", "sip": "10.0.0.1/8", "dport": "0"})
@example({"name": "x", "smac": "aa:bb:cc:dd:ee:ff/aa:bb:cc:dd:ee:ff"})
def test_any_mapping_is_a_filter_or_refused_on_one_line(form: Any) -> None:
    refusal = ""
    try:
        read = parse_filter(form)
    except FilterError as error:
        refusal = str(error)
    if refusal:
        assert refusal.isprintable()
        assert len(refusal) < 400
        return
    forms = fields(read)
    assert set(form) == set(forms)
    assert read == parse_filter(forms)
    texts = {key: [*map(str, v)] if isinstance(v, list) else str(v) for key, v in forms.items()}
    assert read == parse_filter(texts)
