"""Whatever comes over the socket of packet events: the declared error, or events, and no other."""

from __future__ import annotations

import json
import math

from hypothesis import given, settings
from hypothesis import strategies as st
from lasting import examples

from ryu_droplog.k8s_events.pods import Pod, PodMap, parse
from ryu_droplog.k8s_events.rules import MAX_MESSAGE, MAX_REASON, Discard, PodEvent, Rules
from ryu_droplog.k8s_events.stream import PacketEvent, StreamError, StreamReader, parse_time

KEYS = [
    "TimeStamp",
    "DropReason",
    "SourceMac",
    "DestinationMac",
    "EtherType",
    "SourceIP",
    "DestinationIP",
    "IPProto",
    "SourcePort",
    "DestinationPort",
]
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.sampled_from(["IPv4", "10.2.0.1", "fd00::1", "Tue Feb 20 07:59:16 UTC 2024", '"]}\\', ""]),
)
OBJECTS = st.dictionaries(st.sampled_from(KEYS), TEXTS)
ARRAYS = st.lists(OBJECTS, max_size=10)
NOW = 1_708_415_956.0


def read(parts: list[bytes]) -> tuple[list[PacketEvent], bool]:
    """What a reader gives for a stream in these parts, and whether it ended with an error."""
    reader, found = StreamReader(), []
    for part in parts:
        try:
            found += reader.feed(part)
        except StreamError as error:
            return found + error.events, True
    return found, False


def split(stream: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(stream) + 1) for cut in cuts})
    return [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]


@given(st.lists(ARRAYS, max_size=5), st.booleans(), st.lists(st.integers(0, 10_000), max_size=20))
@settings(max_examples=examples(400), deadline=None)
def test_any_arrays_are_read_as_they_were_written_however_they_are_split(
    arrays: list[list[dict[str, str]]], ascii_only: bool, cuts: list[int]
) -> None:
    stream = "".join(json.dumps(array, ensure_ascii=ascii_only) for array in arrays).encode()
    found, broken = read(split(stream, cuts))
    assert not broken
    expected = [[item.get(key, "") for key in KEYS] for array in arrays for item in array]
    names = PacketEvent.__struct_fields__
    assert expected == [[getattr(event, name) for name in names] for event in found]


GARBAGE = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from([*'[]{}",:\\ a1', '"SourceIP"', "[{", "}]", "null"]), max_size=60).map(
        lambda parts: "".join(parts).encode()
    ),
)


@given(GARBAGE, ARRAYS, st.lists(st.integers(0, 10_000), max_size=9))
@settings(max_examples=examples(800), deadline=None)
def test_garbage_is_the_same_error_at_every_split_or_none(
    garbage: bytes, array: list[dict[str, str]], cuts: list[int]
) -> None:
    stream = json.dumps(array).encode() + garbage
    whole = read([stream])
    assert len(array) <= len(whole[0])
    assert whole == read(split(stream, cuts))


def make_pod(name: str, phase: str, host_network: bool, address: str) -> Pod:
    addresses = frozenset(filter(None, [parse(address)]))
    return Pod(name, "default", name, phase, host_network, addresses, "2024-02-20T07:59:16Z")


@given(
    st.builds(PacketEvent, *[TEXTS] * len(KEYS)),
    st.lists(
        st.builds(
            make_pod,
            st.sampled_from("abc"),
            st.sampled_from(["Running", "Pending", "Failed", ""]),
            st.booleans(),
            TEXTS,
        ),
        max_size=4,
    ),
)
@settings(max_examples=examples(400), deadline=None)
def test_any_event_is_judged_and_what_is_posted_can_be_shown(
    event: PacketEvent, known: list[Pod]
) -> None:
    pods = PodMap()
    for one in known:
        pods.put(one)
    verdict = Rules(600.0, 120.0).judge(event, pods, NOW, NOW)
    if isinstance(verdict, PodEvent):
        assert verdict.pod.takes_events
        assert NOW - 600 <= verdict.time <= NOW
        assert (verdict.reason + verdict.message).isprintable()
        assert 0 < len(verdict.reason) <= MAX_REASON
        assert 0 < len(verdict.message) <= MAX_MESSAGE
    else:
        assert verdict in Discard


@given(st.one_of(TEXTS, st.from_regex(r"Tue Feb [ 0-9]{1,2} \d\d:\d\d:\d\d \S{1,5} \d{4}")))
@settings(max_examples=examples(400), deadline=None)
def test_any_time_is_seconds_or_none(text: str) -> None:
    seconds = parse_time(text)
    assert seconds is None or math.isfinite(seconds)
