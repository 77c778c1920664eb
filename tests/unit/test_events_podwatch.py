"""How the pods of a node are kept in sight, by a real client, at an API server that misbehaves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kubernetes.client import Configuration
from odd_server import (
    Answer,
    OddServer,
    change,
    cut_off,
    hang,
    json_answer,
    pod,
    pods,
    quiet,
    raw,
    refuse,
    watch,
)

from ryu_droplog.concurrency.backoff import Backoff
from ryu_droplog.k8s_events.api import Api
from ryu_droplog.k8s_events.pods import PodMap
from ryu_droplog.k8s_events.podwatch import BREATH, PodWatch

A = "10.2.0.1"
B = "10.2.0.2"
GONE = {"kind": "Status", "code": 410, "message": "too old resource version"}


class Bed:
    """A watch at a scripted server, turned by hand."""

    def __init__(self, server: OddServer) -> None:
        self.server = server
        configuration = Configuration()
        configuration.host = server.url
        self.pods = PodMap()
        self.watch = PodWatch(
            Api(configuration, read_timeout=1.0, watch_silence=0.3),
            "n1",
            self.pods,
            Backoff(jitter=lambda: 1.0),
        )

    def turn(self, times: int) -> list[float]:
        """The waits after so many turns."""
        return [self.watch.turn() for _ in range(times)]

    def owners(self, *addresses: str) -> list[str | None]:
        ends = [self.pods.at(address) for address in addresses]
        return [end.pod.name if end and end.pod else None for end in ends]

    def versions(self) -> list[str]:
        return [told["resourceVersion"] for told in self.server.bodies("watch")]


@pytest.fixture
def bed() -> Iterator[Callable[..., Bed]]:
    servers: list[OddServer] = []

    def make(**scripts: list[Answer]) -> Bed:
        servers.append(OddServer(**scripts))
        return Bed(servers[-1])

    yield make
    for server in servers:
        server.end()


Make = Callable[..., Bed]


def bookmark(version: str) -> bytes:
    return change("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": version}})


def test_pods_are_listed_then_watched_and_the_watch_goes_on_where_it_ended(bed: Make) -> None:
    here = bed(
        list=[pods("7", pod("a", "5", A))],
        watch=[
            watch(change("ADDED", pod("b", "8", B)), change("DELETED", pod("a", "9", A))),
            watch(bookmark("40")),
            quiet(),
        ],
    )
    assert [BREATH, BREATH] == here.turn(2)
    here.turn(1)
    assert ["list", "watch", "watch", "watch"] == here.server.kinds()
    assert ["7", "9", "40"] == here.versions()
    assert [None, "b"] == here.owners(A, B)
    options = here.server.bodies("watch")[0]
    assert "spec.nodeName=n1" == options["fieldSelector"]
    assert 300 <= int(options["timeoutSeconds"]) < 600


def test_list_of_several_pages_is_read_whole(bed: Make) -> None:
    first = {"metadata": {"resourceVersion": "3", "continue": "next"}, "items": [pod("a", "1", A)]}
    here = bed(list=[json_answer(200, first), pods("3", pod("b", "2", B))])
    here.turn(1)
    assert [None, "next"] == [told.get("continue") for told in here.server.bodies("list")]
    assert ["a", "b"] == here.owners(A, B)


def test_list_without_an_end_is_given_up(bed: Make) -> None:
    page = {"metadata": {"resourceVersion": "3", "continue": "next"}, "items": []}
    here = bed(list=[json_answer(200, page)])
    assert [1] == here.turn(1)
    assert 100 == len(here.server.asked)
    assert not here.watch.ready.is_set()


@pytest.mark.parametrize("gone", [watch(change("ERROR", GONE)), refuse(410)])
def test_version_that_is_too_old_is_listed_again(bed: Make, gone: Answer) -> None:
    here = bed(
        list=[pods("1", pod("a", "1", A)), pods("90", pod("b", "80", A))], watch=[gone, quiet()]
    )
    here.turn(2)
    assert ["list", "watch", "list", "watch"] == here.server.kinds()
    assert ["1", "90"] == here.versions()
    assert ["b"] == here.owners(A)


def test_version_that_is_always_too_old_is_asked_for_ever_more_rarely(bed: Make) -> None:
    here = bed(watch=[refuse(410)])
    assert [1, 2, 4, 8] == here.turn(4)


@pytest.mark.parametrize("cut", [True, False])
def test_watch_that_is_cut_within_a_line_goes_on_before_it(bed: Make, cut: bool) -> None:
    half = change("ADDED", pod("b", "9", B))[:40]
    here = bed(watch=[watch(change("ADDED", pod("a", "8", A)), half, cut=cut), quiet()])
    here.turn(2)
    assert ["list", "watch", "watch"] == here.server.kinds()
    assert ["1", "8"] == here.versions()
    assert ["a", None] == here.owners(A, B)


def test_line_in_many_parts_and_lines_in_one_part_are_read(bed: Make) -> None:
    lines = b"".join(change("ADDED", pod(f"p{n}", f"{n}", f"10.3.0.{n}")) for n in range(1, 9))
    parts = [lines[at : at + 7] for at in range(0, len(lines) - 300, 7)]
    rest = lines[len(parts) * 7 :]
    here = bed(watch=[watch(*parts, rest), quiet()])
    here.turn(1)
    assert [f"p{n}" for n in range(1, 9)] == here.owners(*(f"10.3.0.{n}" for n in range(1, 9)))


@pytest.mark.parametrize(
    "line",
    [
        b"<html>\n", b"{}\n", b"[]\n", b"\xff\n", b'{"type":"ADDED"}\n', b"[" * 9999 + b"\n",
        b'{"type":"ADDED","object":{"metadata":{"uid":3}}}\n',
        b'{"type":"ERROR","object":"x"}\n',
    ],
)  # fmt: skip
def test_garbage_in_a_watch_is_answered_by_a_list(bed: Make, line: bytes) -> None:
    here = bed(list=[pods("1"), pods("5", pod("a", "4", A))], watch=[watch(line), quiet()])
    here.turn(2)
    assert ["list", "watch", "list", "watch"] == here.server.kinds()
    assert ["a"] == here.owners(A)


@pytest.mark.parametrize(
    "answer",
    [
        refuse(403), refuse(500), refuse(429), raw(200, b"<html>"), raw(200, b"{}"), raw(302, b""),
        raw(200, b'{"metadata":{},"items":{"a":1}}'), raw(200, b"\xff"), hang(), cut_off(),
    ],
)  # fmt: skip
def test_list_that_fails_leaves_what_was_known_and_is_tried_again(
    bed: Make, answer: Answer
) -> None:
    here = bed(
        list=[pods("1", pod("a", "1", A)), answer, answer, pods("9", pod("b", "9", B))],
        watch=[refuse(410), quiet()],
    )
    assert [1, 2, 4] == here.turn(3)
    assert ["a"] == here.owners(A)
    here.turn(1)
    assert [None, "b"] == here.owners(A, B)
    assert here.watch.failures >= 3


def test_server_that_says_when_to_come_again_is_obeyed(bed: Make) -> None:
    here = bed(list=[refuse(429, Retry_After="77")])
    assert [77] == here.turn(1)


def test_silent_watch_is_begun_anew_without_a_list(bed: Make) -> None:
    here = bed(watch=[watch(bookmark("5"), wait=True), quiet()])
    assert [BREATH] == here.turn(1)
    here.turn(1)
    assert ["list", "watch", "watch"] == here.server.kinds()
    assert ["1", "5"] == here.versions()


def test_watch_that_ends_at_once_is_not_begun_at_once(bed: Make) -> None:
    here = bed(watch=[watch()])
    assert [1, 2, 4] == here.turn(3)


def test_server_that_comes_back_on_its_port_is_found(bed: Make) -> None:
    here = bed()
    port = here.server.server_address[1]
    here.server.end()
    assert [1, 2] == here.turn(2)
    server = OddServer(port, list=[pods("1", pod("a", "1", A))])
    here.turn(1)
    server.end()
    assert ["a"] == here.owners(A)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"status": {"phase": "Running", "podIP": A}}, ["a", None]),
        (
            {"status": {"phase": "Running", "podIP": A, "podIPs": [{"ip": A}, {"ip": B}]}},
            ["a", "a"],
        ),
        ({"status": {"phase": "Running", "podIP": "", "podIPs": None}}, [None, None]),
        ({"status": {"podIPs": [{"ip": "x"}, {}, {"ip": B}]}}, [None, "a"]),
        ({"status": None, "spec": None}, [None, None]),
        ({}, [None, None]),
    ],
)
def test_odd_pods_are_taken_for_what_they_say(
    bed: Make, item: dict[str, Any], expected: list[str | None]
) -> None:
    known = {"metadata": {"name": "a", "namespace": "default", "uid": "1"}, **item}
    here = bed(list=[pods("1", json.loads(json.dumps(known)))])
    here.turn(1)
    assert expected == here.owners(A, B)
