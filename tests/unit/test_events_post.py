"""How Events are posted and counted up, by a real client, at an API server that misbehaves."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest
from kubernetes.client import Configuration
from odd_server import Answer, OddServer, cut_off, hang, json_answer, raw, refuse
from packet_events import NOW, pod

from ryu_droplog.concurrency.backoff import Backoff
from ryu_droplog.k8s_events.api import Api
from ryu_droplog.k8s_events.event_counters import EventCounters
from ryu_droplog.k8s_events.pods import Pod, parse
from ryu_droplog.k8s_events.post import Poster
from ryu_droplog.k8s_events.rules import PodEvent

MAX_AGE = 600.0
CREATED, PATCHED = json_answer(201, {}), json_answer(200, {})
WEB = pod("web", "10.2.0.195")
REASON = "Acc-SEC_GROUP_IN_TABLE MISS(Security Drop)"
MESSAGE = "IPv4 packet from 10.2.0.229 to default/web was dropped"


class Bed:
    """A poster at a scripted server, and a clock that only its waits move."""

    def __init__(self, server: OddServer) -> None:
        self.server = server
        self.clock = NOW
        self.set_by = 0.0
        """Seconds by which somebody has set the time of day."""
        self.pauses: list[float] = []
        self.counters = EventCounters()
        self.poster = self.new_poster()

    def new_poster(self, queue: int = 1000, memory: int = 5000) -> Poster:
        configuration = Configuration()
        configuration.host = self.server.url
        return Poster(
            Api(configuration, read_timeout=1.0),
            "n1",
            MAX_AGE,
            self.counters,
            queue=queue,
            memory=memory,
            backoff=lambda: Backoff(jitter=lambda: 1.0),
            clock=lambda: self.clock,
            now=lambda: self.clock + self.set_by,
        )

    def put(self, ago: float = 0.0, whose: Pod = WEB, message: str = MESSAGE) -> bool:
        address = parse("10.2.0.229")
        assert address is not None
        self.counters.receive(1)
        event = PodEvent((address, address), whose, REASON, message, self.clock + self.set_by - ago)
        return self.poster.put(event)

    def play(self, requests: int) -> list[str]:
        """Let time pass until so many requests were made, or all is done; what they were."""
        while len(self.server.asked) < requests and self.counters.waiting:
            pause = self.poster.turn()
            if pause:
                self.pauses.append(round(pause, 2))
                self.clock += pause
        return self.server.kinds()

    def books(self) -> tuple[int, int, dict[str, int]]:
        return self.counters.posted, self.counters.counted_up, dict(self.counters.discarded)


@pytest.fixture
def bed() -> Iterator[Callable[..., Bed]]:
    """Makes the bed with scripts of answers."""
    servers: list[OddServer] = []

    def make(**scripts: list[Answer]) -> Bed:
        servers.append(OddServer(**scripts))
        return Bed(servers[-1])

    yield make
    for server in servers:
        server.end()


Make = Callable[..., Bed]


def test_event_is_written_as_kubectl_reads_it(bed: Make) -> None:
    here = bed()
    here.put(ago=60.5)
    assert ["create"] == here.play(1)
    path, body = here.server.asked[0][1:]
    assert "/api/v1/namespaces/default/events" == path
    name = body["metadata"].pop("name")
    assert re.fullmatch(r"web\.[0-9a-f]{16}", name)
    for key in ("firstTimestamp", "lastTimestamp"):
        body[key] = body[key].replace("+00:00", "Z")
    expected = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": "default"},
        "type": "Warning",
        "reason": REASON,
        "message": MESSAGE,
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": "default",
            "name": "web",
            "uid": "uid-of-web",
        },
        "source": {"component": "ryu-droplog", "host": "n1"},
        "reportingComponent": "ryu-droplog",
        "reportingInstance": "n1",
        "firstTimestamp": "2024-02-20T07:58:15Z",
        "lastTimestamp": "2024-02-20T07:58:15Z",
        "count": 1,
    }
    assert expected == body
    assert (1, 0, {}) == here.books()


def test_empty_answer_with_a_good_status_is_an_answer(bed: Make) -> None:
    here = bed(create=[raw(200, b"")])
    here.put()
    here.play(2)
    assert (["create"], (1, 0, {})) == (here.server.kinds(), here.books())


def test_same_again_raises_the_count_and_another_makes_another(bed: Make) -> None:
    here = bed()
    here.put(ago=60)
    here.play(1)
    here.put()
    here.play(2)
    here.put(message="another")
    here.put(whose=pod("web", uid="recreated"))
    assert ["create", "patch", "create", "create"] == here.play(4)
    created = here.server.bodies("create")
    names = [body["metadata"]["name"] for body in created]
    assert 3 == len(set(names))
    assert here.server.asked[1][1].endswith(f"/namespaces/default/events/{names[0]}")
    assert [{"count": 2, "lastTimestamp": "2024-02-20T07:59:16Z"}] == here.server.bodies("patch")
    assert (3, 1, {}) == here.books()


def test_what_came_while_it_waited_is_one_event(bed: Make) -> None:
    here = bed()
    for ago in (300, 180, 60):
        here.put(ago)
    assert ["create"] == here.play(9)
    body = here.server.bodies("create")[0]
    assert 3 == body["count"]
    assert ("2024-02-20T07:54:16", "2024-02-20T07:58:16") == (
        body["firstTimestamp"][:19],
        body["lastTimestamp"][:19],
    )
    assert (1, 2, {}) == here.books()


def test_event_that_has_gone_is_made_anew(bed: Make) -> None:
    here = bed(patch=[refuse(404), PATCHED])
    for _ in range(3):
        here.put()
        here.play(len(here.server.asked) + 1)
    assert ["create", "patch", "create", "patch"] == here.server.kinds()
    assert [1, 1] == [body["count"] for body in here.server.bodies("create")]
    assert [2, 2] == [body["count"] for body in here.server.bodies("patch")]
    assert (2, 1, {}) == here.books()


def test_event_of_an_earlier_run_is_counted_up(bed: Make) -> None:
    there = {
        "count": 4,
        "firstTimestamp": "2024-02-20T07:00:00Z",
        "lastTimestamp": "2024-02-20T07:59:40Z",
    }
    here = bed(create=[refuse(409)], read=[json_answer(200, there)])
    here.put()
    here.play(3)
    here.put()
    assert ["create", "read", "patch", "patch"] == here.play(4)
    expected = [{"count": 5, "lastTimestamp": "2024-02-20T07:59:40Z"}]
    expected += [{"count": 6, "lastTimestamp": "2024-02-20T07:59:40Z"}]
    assert expected == here.server.bodies("patch")
    assert (0, 2, {}) == here.books()


@pytest.mark.parametrize("loss", [cut_off, hang, lambda: refuse(500)])
def test_try_that_came_through_unheard_is_not_counted_twice(
    bed: Make, loss: Callable[[], Answer]
) -> None:
    """The Event was made, the answer was lost, and another packet came meanwhile."""
    here = bed(create=[loss(), refuse(409)])
    times = {"firstTimestamp": "2024-02-20T07:58:16Z", "lastTimestamp": "2024-02-20T07:59:16Z"}
    here.server.scripts["read"] = [json_answer(200, {"count": 2, **times})]
    here.put(60)
    here.put()
    here.poster.turn()
    here.put()
    assert ["create", "create", "read", "patch"] == here.play(4)
    counts = [body["count"] for body in here.server.bodies("create")]
    assert [2, 2] == counts
    assert [3] == [body["count"] for body in here.server.bodies("patch")]
    assert (1, 2, {}) == here.books()


def test_count_that_was_raised_unheard_is_not_raised_again(bed: Make) -> None:
    here = bed(patch=[cut_off(), PATCHED])
    here.put()
    here.play(1)
    here.put()
    assert ["create", "patch", "patch"] == here.play(3)
    assert [2, 2] == [body["count"] for body in here.server.bodies("patch")]


@pytest.mark.parametrize("status", [429, 503])
def test_server_that_says_when_to_come_again_is_obeyed(bed: Make, status: int) -> None:
    here = bed(create=[refuse(status, Retry_After="30"), CREATED])
    here.put()
    here.put(whose=pod("other"))
    assert ["create", "create", "create"] == here.play(3)
    assert [30.0] == here.pauses
    assert (2, 0, {}) == here.books()


@pytest.mark.parametrize("text", ["soon", "-1", "", "1e9", "99999999999999999999"])
def test_odd_retry_after_neither_hurts_nor_lasts(bed: Make, text: str) -> None:
    here = bed(create=[refuse(429, Retry_After=text), CREATED])
    here.put(whose=pod("web"))
    here.clock -= 1
    here.play(2)
    assert 0 < sum(here.pauses) <= 601


def test_server_that_is_away_is_tried_ever_more_rarely(bed: Make) -> None:
    here = bed(create=[refuse(500), cut_off(), refuse(503), raw(302, b""), refuse(401), CREATED])
    here.put()
    here.play(6)
    assert [1, 1, 2, 4, 8] == here.pauses
    assert (1, 0, {}) == here.books()


def test_server_that_comes_back_on_its_port_is_found(bed: Make) -> None:
    here = bed()
    port = here.server.server_address[1]
    here.server.end()
    here.put()
    for _ in range(4):
        here.clock += here.poster.turn()
    assert 1 == here.counters.waiting
    here.server = OddServer(port)
    assert ["create"] == here.play(1)
    here.server.end()
    assert (1, 0, {}) == here.books()


@pytest.mark.parametrize("step", [-86400.0, -3600.0, 3600.0, 86400.0])
def test_age_is_as_ever_when_the_time_of_day_is_set(bed: Make, step: float) -> None:
    """What was dropped a minute ago is posted, with the time that it was told with."""
    here = bed(create=[refuse(503)])
    here.put(ago=5)
    here.play(1)
    here.set_by = step
    here.clock += 60
    here.server.scripts["create"] = [CREATED]
    here.play(3)
    assert (1, 0, {}) == here.books()
    assert "2024-02-20T07:59:11" == here.server.bodies("create")[-1]["lastTimestamp"][:19]


@pytest.mark.parametrize("step", [-86400.0, -3600.0])
def test_what_waits_too_long_is_aged_when_the_time_of_day_is_set_back(
    bed: Make, step: float
) -> None:
    here = bed(create=[refuse(503)])
    here.put()
    here.play(1)
    here.set_by = step
    here.clock += MAX_AGE + 1
    here.poster.turn()
    assert (0, 0, {"aged": 1}) == here.books()


def test_outage_of_an_hour_leaves_the_last_ten_minutes(bed: Make) -> None:
    here = bed(create=[refuse(503)])
    start = here.clock
    while here.clock < start + 3600:
        here.put()
        wake = here.clock + 120
        while here.clock < wake:
            here.clock = min(wake, here.clock + max(here.poster.turn(), 0.001))
    here.server.scripts["create"] = [CREATED]
    here.play(10_000)
    posted, counted_up, discarded = here.books()
    assert ({"aged": 30 - posted - counted_up}, 1) == (discarded, posted)
    assert 4 <= posted + counted_up <= 5
    assert posted + counted_up == here.server.bodies("create")[-1]["count"]
    assert 0 == here.counters.waiting


@pytest.mark.parametrize("status", [400, 405, 413, 422])
def test_event_that_is_refused_for_good_is_dropped(bed: Make, status: int) -> None:
    here = bed(create=[refuse(status), CREATED])
    here.put()
    here.put()
    here.put(whose=pod("other"))
    assert ["create", "create"] == here.play(2)
    assert (1, 0, {"refused": 2}) == here.books()


def test_forbidden_event_is_tried_until_rights_come(bed: Make) -> None:
    here = bed(create=[refuse(403)] * 3 + [CREATED])
    here.put()
    here.play(4)
    assert [1, 2, 4] == here.pauses
    assert (1, 0, {}) == here.books()


def test_forbidden_namespace_does_not_hold_up_another(bed: Make) -> None:
    here = bed(create=[refuse(403), CREATED, CREATED])
    here.put(whose=pod("a", namespace="closed"))
    here.put(whose=pod("b", namespace="open"))
    here.play(3)
    paths = [path.split("/")[4] for _, path, _ in here.server.asked]
    assert ["closed", "open", "closed"] == paths
    assert [1] == here.pauses


@pytest.mark.parametrize(
    "answer", [refuse(404, 'namespaces "x" not found'), refuse(403, "x", "NamespaceTerminating")]
)
def test_event_of_a_namespace_that_is_gone_is_dropped(bed: Make, answer: Answer) -> None:
    here = bed(create=[answer, CREATED])
    here.put(whose=pod("a", namespace="gone"))
    here.put()
    here.play(2)
    assert ([], (1, 0, {"namespace gone": 1})) == (here.pauses, here.books())


@pytest.mark.parametrize("garbage", [b"", b"<html>", b"{", b"[]", b"[" * 9999, b'{"count":"x"}'])
def test_garbage_as_an_answer_is_tried_again(bed: Make, garbage: bytes) -> None:
    here = bed(create=[refuse(409)], read=[raw(200, garbage), json_answer(200, {"count": 1})])
    here.put()
    assert ["create", "read", "create", "read", "patch"] == here.play(5)
    assert (0, 1, {}) == here.books()


def test_garbage_as_a_refusal_is_a_refusal(bed: Make) -> None:
    here = bed(create=[raw(503, b"\xff{"), raw(403, b'{"details":3}'), raw(422, b"[" * 9999)])
    here.put()
    here.play(3)
    assert (0, 0, {"refused": 1}) == here.books()


def test_full_queue_refuses_and_counts(bed: Make) -> None:
    here = bed(create=[refuse(503), CREATED])
    here.poster = here.new_poster(queue=3)
    taken = [here.put(whose=pod(name)) for name in "abab"]
    assert [True, True, True, False] == taken
    here.play(9)
    assert (2, 1, {"queue full": 1}) == here.books()
    assert here.put()


def test_forgotten_event_is_found_by_its_name(bed: Make) -> None:
    """More Events than are remembered: the oldest is looked at again."""
    here = bed(create=[CREATED] * 3 + [refuse(409)], read=[json_answer(200, {"count": 1})])
    here.poster = here.new_poster(memory=2)
    for name in "abca":
        here.put(whose=pod(name))
        here.play(len(here.server.asked) + 1)
    assert ["create"] * 4 + ["read", "patch"] == here.server.kinds()
    assert (3, 1, {}) == here.books()


def test_name_of_an_event_is_one_for_the_longest_pod(bed: Make) -> None:
    here = bed()
    for length in (235, 236, 237, 253):
        here.put(whose=pod("a" * (length - 2) + ".b"))
    here.play(4)
    for body in here.server.bodies("create"):
        assert re.fullmatch(r"a+(\.b)?\.[0-9a-f]{16}", body["metadata"]["name"])
        assert len(body["metadata"]["name"]) <= 253
    assert json.dumps(here.server.bodies("create"))
