"""The sink `fluent` into the forward server: each way to it, crashes of both sides, both hubs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from .fluent import Entry, FluentServer
from .service import PATIENCE, eventually

ROOT = Path(__file__).resolve().parents[2]
HUBS = ["native", "eventlet"]

SENDER = """
import json, sys, time
sys.path.insert(0, "tests/unit")
from ryu_droplog.concurrency import hubs
hubs.ready()
from forwarding import numbered
from ryu_droplog.config.sink_spec import QueueSpec, SinkSpec
from ryu_droplog.sinks import forwarding
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.fluent import Fluent, FluentOptions

forwarding.LONGEST_PAUSE = 0.5
options = FluentOptions.model_validate(json.loads(sys.argv[1]))
first, count, batch = map(int, sys.argv[2:5])
spec = SinkSpec("soc", "fluent", queue=QueueSpec(count), options=options)
sink = Fluent(spec, SinkContext(hubs.real_threading(), node="node.test"))
sink.start()
for number in range(first, first + count, batch):
    drops = [numbered(number + n) for n in range(batch)]
    for drop in drops:
        drop.time = 1_700_000_000.123456
    sink.put(drops)
    if options.spool is not None:
        while sink.waiting:
            time.sleep(0.001)
        print("taken", number + batch, flush=True)
    else:
        time.sleep(0.002)
while sink.waiting or sink.reading().spooled:
    time.sleep(0.01)
left = sink.close(20)
reading = sink.reading()
print("done", sink.written, sink.failed, sink.resent, reading.recovered, left,
      reading.unexplained(), flush=True)
"""


def sender(
    options: dict[str, Any], first: int, count: int, batch: int, hub: str = "native"
) -> subprocess.Popen[str]:
    """A process that sends drops with the source ports from `first`; prints what it did."""
    arguments = [json.dumps(options), *map(str, (first, count, batch))]
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SENDER, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OSKEN_HUB_TYPE": hub, "KEY_OF_TEST": "key", "WORD_OF_TEST": "word"},
    )


def done(process: subprocess.Popen[str]) -> dict[str, int]:
    """What it says at its end."""
    output, _ = process.communicate(timeout=PATIENCE * 2)
    *_, last = output.splitlines()
    kind, *numbers = last.split()
    assert ("done", 0) == (kind, process.returncode)
    names = ("written", "failed", "resent", "recovered", "left", "unexplained")
    return dict(zip(names, map(int, numbers), strict=True))


def arrived(server: FluentServer) -> int:
    """How many entries it has, without reading them."""
    return server.output.read_bytes().count(b"\n") if server.output.exists() else 0


def port(entry: Entry) -> int:
    return int(entry.record["source"]["port"])


def without_repeats(entries: list[Entry]) -> tuple[list[int], int]:
    """The ports that arrived, each once in each chunk by its id, and how many came in repeats.

    A server that is killed may have kept the beginning of a chunk, which then comes again whole.
    """
    by_chunk = Counter((entry.chunk, port(entry)) for entry in entries)
    return sorted(number for _, number in by_chunk), by_chunk.total() - len(by_chunk)


WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "tcp": ({}, {}),
    "unix": ({"unix": True}, {"gzip": True}),
    "tls": ({"tls": True}, {}),
    "tls with our certificate": ({"tls": True, "client_certificate": True}, {}),
    "spool": ({}, {"delivery": "at_least_once"}),
    "shared key": ({"shared_key": "key"}, {"shared_key_env": "KEY_OF_TEST"}),
    "password": (
        {"shared_key": "key", "users": {"user": "word"}},
        {"shared_key_env": "KEY_OF_TEST", "user": "user", "password_env": "WORD_OF_TEST"},
    ),
}


@pytest.mark.parametrize("hub", HUBS)
@pytest.mark.parametrize("way", WAYS)
def test_records_arrive_by_each_way_under_either_hub(tmp_path: Path, way: str, hub: str) -> None:
    of_server, keys = WAYS[way]
    with FluentServer(**of_server) as server:
        options = {"servers": [server.address], "require_ack": True, **keys}
        if way == "spool":
            options["spool"] = {"directory": str(tmp_path)}
        if server.certificates is not None:
            options["tls"] = {"ca": str(server.certificates.ca)}
            if "client_certificate" in of_server:
                options["tls"] |= {
                    "certificate": str(server.certificates.client_certificate),
                    "key": str(server.certificates.client_key),
                }
        told = done(sender(options, 1, 100, 50, hub))
        entries = server.read(100)
    assert {"written": 100, "failed": 0, "resent": 0} == {
        key: told[key] for key in ("written", "failed", "resent")
    }
    assert list(range(1, 101)) == [port(entry) for entry in entries]
    mode = "compressed" if "gzip" in keys else "packed"
    assert {("ovs.drop", 1_700_000_000, mode)} == {
        (entry.tag, entry.seconds, entry.mode) for entry in entries
    }
    record = entries[0].record
    assert ("denied", "node.test") == (record["event"]["type"][1], record["host"]["name"])
    assert record["@timestamp"] == f"2023-11-14T22:13:20.{entries[0].nanoseconds:09}Z"


def test_certificate_that_nobody_vouches_for_is_not_accepted() -> None:
    with FluentServer(tls=True) as server, FluentServer() as other:
        options = {"servers": [server.address, other.address], "require_ack": True}
        assert 0 == done(sender(options, 1, 10, 10))["failed"]
        assert 10 == len(other.read(10))
        assert [] == server.entries()
        options = {"servers": [server.address], "require_ack": True, "tls": {"verify": False}}
        assert 10 == done(sender(options, 1, 10, 10))["written"]


@pytest.mark.parametrize("spooled", [False, True], ids=["from memory", "from the spool"])
def test_nothing_is_missing_after_receivers_crashes_under_load(
    tmp_path: Path, spooled: bool
) -> None:
    count = 10_000
    with FluentServer() as server:
        options: dict[str, Any] = {
            "servers": [server.address],
            "require_ack": True,
            "ack_timeout": "5s",
            "delivery": "at_least_once",
        }
        if spooled:
            options["spool"] = {"directory": str(tmp_path)}
        process = sender(options, 1, count, 100)
        for share in (10, 5, 3):
            assert eventually(lambda share=share: arrived(server) > count // share, "a share")
            server.restart()
        told = done(process)
        entries = server.entries()
    ports, repeats = without_repeats(entries)
    assert list(range(1, count + 1)) == ports
    assert (count, 0, 0, 0) == tuple(
        told[key] for key in ("written", "failed", "left", "unexplained")
    )
    assert repeats <= told["resent"]


def test_nothing_that_the_spool_had_taken_is_missing_after_kill_9(tmp_path: Path) -> None:
    with FluentServer() as server:
        options = {
            "servers": [server.address],
            "require_ack": True,
            "delivery": "at_least_once",
            "spool": {"directory": str(tmp_path)},
        }
        taken = 0
        for turn in range(3):  # the receiver works, is stuck, and is dead
            if turn == 1:
                server.pause()
            elif turn == 2:
                server.resume()
                server.kill()
            process = sender(options, taken + 1, 20_000, 50)
            assert process.stdout is not None
            last = taken
            for line in process.stdout:
                last = int(line.split()[1]) - 1
                if last >= taken + 1000:
                    break
            process.kill()
            rest = process.stdout.read().splitlines()
            process.wait()
            taken = max([last, *(int(line.split()[1]) - 1 for line in rest if " " in line)])
        server.start()
        told = done(sender(options, 60_000, 50, 50))
        entries = server.entries()
    ports, _ = without_repeats(entries)
    assert set(range(1, taken + 1)) <= set(ports)
    assert told["recovered"] > 1000
    assert (told["recovered"] + 50, 0, 0) == (
        told["written"], told["failed"], told["unexplained"],
    )  # fmt: skip


def test_next_server_takes_over_when_one_crashes_under_load() -> None:
    count = 5_000
    with FluentServer() as first, FluentServer() as second:
        options = {
            "servers": [first.address, second.address],
            "require_ack": True,
            "delivery": "at_least_once",
        }
        process = sender(options, 1, count, 50)
        assert eventually(lambda: arrived(first) > count // 4, "a quarter")
        first.kill()
        told = done(process)
        ports, _ = without_repeats(first.entries() + second.entries())
    assert list(range(1, count + 1)) == sorted(set(ports))
    assert (count, 0) == (told["written"], told["failed"])


def test_what_a_crash_may_have_cost_is_counted_and_not_sent_again_at_most_once() -> None:
    count = 10_000
    with FluentServer() as server:
        options = {"servers": [server.address], "require_ack": True, "ack_timeout": "5s"}
        process = sender(options, 1, count, 50)
        for share in (10, 5, 3):
            assert eventually(lambda share=share: arrived(server) > count // share, "a share")
            server.restart()
        told = done(process)
        entries = server.entries()
    assert count == told["written"] + told["failed"]
    assert (0, 0) == (told["resent"], told["unexplained"])
    assert told["written"] <= len(entries) <= count
    assert 1 == max(Counter(map(port, entries)).values())
