"""Whatever the bytes: decoding raises nothing but the declared error, and the line stays a line."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st
from lasting import examples

from ryu_droplog.model.drop import Drop
from ryu_droplog.model.errors import MalformedMessage
from ryu_droplog.model.location import Location
from ryu_droplog.packet.ethernet import decode
from ryu_droplog.packet.packet_in import drop_record, oxm_fields, parse
from ryu_droplog.sinks.line import packet_text

ORIGIN = Location(("br-int", 4), "br-int", 4, "TABLE_4", "MISS")

ADDRESSES = "0a580a0200c3 0022bdf819ff"
TCP = "a7b60050 a6953a5f 00000000 a002f244 00000000"
UDP = "02220223 00080000"
ICMP = "08000000 00010002"
FRAMES = [
    bytes.fromhex(ADDRESSES + text)
    for text in (
        "0800 4500003c e3f04000 3e060000 0a0200e5 0a0200c3" + TCP + "00" * 20,
        "0800 4500001c 00000000 40110000 0a000001 0a000002" + UDP,
        "0800 4500001c 00000000 40010000 0a000001 0a000002" + ICMP,
        "0800 46c00020 00004000 01110000 0a000001 0a000002 94040000" + UDP,
        "0800 45000028 00002001 40060000 0a000001 0a000002" + TCP,
        "0806 0001080006040001 0022bdf819ff 0a000001 000000000000 0a000002",
        "86dd 60000000 00140640" + "fe80" + "00" * 13 + "01ff02" + "00" * 13 + "02" + TCP,
        "86dd 60000000 00081140" + "00" * 10 + "ffff01020304" + "00" * 16 + UDP,
        "8100 0001 8100 0ffe 0800 4500001c 00000000 40110000 0a000001 0a000002" + UDP,
        "0026" + "42" * 38,
    )
]
MATCH = bytes.fromhex(
    "0001 003c 8000000400000007 0001610500000001ff"
    "0001680400000004 00016a0400000001 ffff54064f4e46000012 0001030800000001000000ff"
)
MATCH += bytes(-len(MATCH) % 8)


def message(frame: bytes) -> bytes:
    """A PacketIn that carries the frame."""
    body = bytes.fromhex("ffffffff 0000 00 04 4000000000000004") + MATCH + bytes(2) + frame
    return b"\x04\x0a" + (8 + len(body)).to_bytes(2, "big") + bytes(4) + body


@st.composite
def mutated(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """One of the originals with a few bytes changed, and perhaps cut or made longer."""
    data = bytearray(draw(st.sampled_from(originals)))
    changes = st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255))
    for position, value in draw(st.lists(changes, max_size=6)):
        data[position] = value
    end = draw(st.one_of(st.none(), st.integers(0, len(data))))
    return bytes(data[:end]) + draw(st.binary(max_size=24))


def printed(frame: bytes, metadata: bytes) -> tuple[Drop, str]:
    drop = decode(frame, 0.0, ORIGIN, metadata)
    return drop, packet_text(drop)


@given(st.one_of(st.binary(max_size=128), mutated(FRAMES)))
@settings(max_examples=examples(1500), deadline=None)
@example(b"")
def test_any_frame_gives_one_printable_line(frame: bytes) -> None:
    drop, text = printed(frame, b"")
    assert text.isascii()
    assert text.isprintable()
    assert drop.truncated == text.endswith(" TRUNCATED")
    assert frame == drop.frame


@given(mutated(FRAMES))
@settings(max_examples=examples(300), deadline=None)
def test_cut_of_any_frame_never_says_what_the_whole_does_not(frame: bytes) -> None:
    """The line of a cut frame without its last word begins the line of the whole frame."""
    whole = printed(frame, b"")[1]
    for size in range(len(frame)):
        text = printed(frame[:size], b"")[1]
        assert whole.startswith(text.removesuffix(" TRUNCATED"))


@given(st.one_of(st.binary(max_size=160), mutated([message(frame) for frame in FRAMES])))
@settings(max_examples=examples(1500), deadline=None)
def test_any_message_is_parsed_or_refused(data: bytes) -> None:
    try:
        packet_in = parse(data)
    except MalformedMessage:
        return
    assert packet_in.metadata in data
    assert data.endswith(packet_in.frame)
    assert printed(packet_in.frame, packet_in.metadata)[1].isprintable()
    drop_record(packet_in.metadata)


@given(st.one_of(st.binary(max_size=300), mutated([MATCH[4:]])))
@settings(max_examples=examples(1000), deadline=None)
def test_any_metadata_gives_fields_that_are_in_it(metadata: bytes) -> None:
    used = 0
    for field in oxm_fields(metadata):
        mask = field.mask if field.mask is not None else b""
        assert field.value + mask in metadata[used:]
        used += 4 + len(field.value) + len(mask)
    assert used <= len(metadata)


def test_seeds_are_whole() -> None:
    """The mutations start from messages that would be read to their end."""
    assert [False] * len(FRAMES) == [
        printed(parse(message(frame)).frame, b"")[0].truncated for frame in FRAMES
    ]
    expected = (4, 1)
    assert expected == drop_record(parse(message(FRAMES[0])).metadata)[:2]
