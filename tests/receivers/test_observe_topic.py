"""`ryu-droplog observe --from kafka:…` with real brokers, and records that the sink has written."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .kafka import MockBroker, TansuBroker
from .kafka_sink import FLOWS, TOPIC, kafka, numbered, running, written
from .service import PATIENCE, free_port

COUNT = 300
COMMAND = Path(sys.executable).parent / "ryu-droplog"


def observe(place: str, *words: str) -> subprocess.CompletedProcess[str]:
    """What the command says."""
    command = (str(COMMAND), "observe", "--from", place, *words)
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def ports(said: str) -> list[int]:
    """The source ports of records in JSON, in their order."""
    return [json.loads(line)["source"]["port"] for line in said.splitlines()]


@pytest.fixture(scope="module", params=["tansu", "librdkafka"])
def place(request: pytest.FixtureRequest) -> Iterator[str]:
    """A topic with `COUNT` records in ecs, and the same again in native."""
    with TansuBroker() if request.param == "tansu" else MockBroker() as broker:
        if isinstance(broker, TansuBroker):
            broker.make_topic(TOPIC, partitions=3)
        for encoding, first in (("ecs", 0), ("native", COUNT)):
            with running(kafka(broker.brokers, encode=encoding)) as sink:
                sink.put([numbered(number) for number in range(first, first + COUNT)])
                written(sink, COUNT)
        yield f"kafka:{broker.brokers}/{TOPIC}"


def test_all_records_of_both_encodings_are_read_to_their_end(place: str) -> None:
    done = observe(place, "--all", "-o", "json")
    assert (0, "") == (done.returncode, done.stderr)
    assert list(range(2 * COUNT)) == sorted(ports(done.stdout))


def test_filters_choose_and_groups_are_counted(place: str) -> None:
    done = observe(place, "--all", "-o", "json", "--to-port", "5003", "--not", "--from-port", "3")
    wanted = [number for number in range(2 * COUNT) if number % FLOWS == 3 and number != 3]
    assert wanted == sorted(ports(done.stdout))
    rows = observe(place, "--aggregate-by", "to-port", "-o", "json").stdout.splitlines()
    assert FLOWS == len(rows)
    assert 2 * COUNT == sum(json.loads(row)["packets"] for row in rows)


def test_first_and_last_are_so_many(place: str) -> None:
    assert 7 == len(ports(observe(place, "--first", "7", "-o", "json").stdout))
    assert 20 == len(ports(observe(place, "-o", "json").stdout))
    last = observe(place, "--last", "4", "--to-port", "5000", "-o", "json")
    assert 4 == len(ports(last.stdout))
    assert {0} == {port % FLOWS for port in ports(last.stdout)}
    assert 1 == observe(place, "--all", "--port", "9999", "--fail-if-none").returncode


def test_follower_gets_what_comes(place: str) -> None:
    brokers = place.removeprefix("kafka:").partition("/")[0]
    command = (str(COMMAND), "observe", "--from", place, "--follow", "-o", "json")
    with subprocess.Popen(
        (*command, "--from-port", "60000"), stdout=subprocess.PIPE, text=True
    ) as follower:
        assert follower.stdout is not None
        with running(kafka(brokers, encode="native")) as sink:
            deadline = time.monotonic() + PATIENCE
            sent = 0
            # Until one comes: nobody else can tell when the follower is at the end of the topic.
            while not select.select([follower.stdout], [], [], 0.5)[0]:
                assert time.monotonic() < deadline
                sink.put([numbered(60_000)])
                sent += 1
                written(sink, sent)
        assert 60_000 == json.loads(follower.stdout.readline())["source"]["port"]
        follower.terminate()


def test_where_there_is_nobody_or_no_topic_it_is_said_in_one_line(place: str) -> None:
    began = time.monotonic()
    nobody = observe(f"kafka:127.0.0.1:{free_port()}/{TOPIC}", "--all")
    assert (3, "", 1) == (nobody.returncode, nobody.stdout, nobody.stderr.count("\n"))
    assert time.monotonic() - began < 30
    for wrong in ("kafka:", "kafka:127.0.0.1:9", "kafka:/topic", "kafka:127.0.0.1:9/"):
        assert 2 == observe(wrong).returncode
    assert 2 == observe(place, "--kafka-property", "x").returncode
    assert 3 == observe(place, "--kafka-property", "no.such.property=1").returncode
