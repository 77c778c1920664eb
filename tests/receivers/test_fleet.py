"""A fleet on real engines: what docs/fleet answers is what is true of the simulated fleet.

The answers come from ClickHouse, through a real broker, of records that the program's own encoder
made; the truth is counted from the drops (tools/fleet/truth.py).
"""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from checkout import ROOT
from confluent_kafka import Producer
from fleet.catalogue import MINUTE
from fleet.documents import QUESTIONS, statements
from fleet.simulation import Simulation, Size
from fleet.writer import write

from .clickhouse import ClickHouse
from .fleet_bed import (
    TOPIC,
    ask,
    make_tables,
    make_topic,
    stored_bytes,
    wait_for_records,
)
from .kafka import TansuBroker

PATIENCE = 400.0
SIZES = {
    "ecs": Size(nodes=200, rate=20, seconds=90, history=10),  # 400,000 records
    "native": Size(nodes=60, rate=10, seconds=90, history=10),
}
NO_RECORDS = (b"not JSON", b'{"is": "JSON", "but": "no record"}')
AT_ONCE = ("at once", "again at once")

pytestmark = pytest.mark.timeout(900)


class Asked(NamedTuple):
    """All answers, and what is true."""

    truth: Mapping[str, Any]
    answers: Mapping[str, list[dict[str, Any]]]
    engine: ClickHouse
    size: Size


@pytest.fixture(scope="module", params=SIZES)
def asked(request: pytest.FixtureRequest) -> Iterator[Asked]:
    """A fleet's records of an encoding, taken into ClickHouse, and every question asked."""
    encoding: str = request.param
    size = SIZES[encoding]
    begin = int(time.time() - size.seconds) // MINUTE * MINUTE
    simulation = Simulation(size, begin, encoding)
    with TansuBroker() as broker, ClickHouse() as engine:
        make_topic(broker)
        make_tables(engine, broker, encoding)
        producer = Producer({**broker.client})
        for message in NO_RECORDS:
            producer.produce(TOPIC, message)
        assert producer.flush(60) == 0
        write(simulation.events(), broker.brokers, TOPIC, size.records, quiet=True)
        wait_for_records(engine, size.records, PATIENCE)
        answers = {name: ask(engine, name, simulation.truth)[0] for name in QUESTIONS}
        yield Asked(simulation.truth.told(), answers, engine, size)


def test_every_record_is_there_once_and_nothing_else(asked: Asked) -> None:
    (row,) = asked.engine.query(
        """SELECT count() AS records, sum(packets) AS packets, uniqExact(node) AS nodes,
               min(version) AS version, countIf(signature = '' OR frame_data = '') AS empty
           FROM droplog.drops"""
    )
    truth = asked.truth
    assert truth["records"] == asked.size.records
    expected = {"records": truth["records"], "packets": truth["packets"], "version": 1, "empty": 0}
    assert row == {**expected, "nodes": asked.size.nodes}


def test_what_is_no_record_is_kept_apart(asked: Asked) -> None:
    rows = asked.engine.query(
        "SELECT topic, message, error FROM droplog.unreadable ORDER BY message"
    )
    assert [row["topic"] for row in rows] == [TOPIC, TOPIC]
    assert rows[0]["error"] == "JSON, but not a record: it has no problem"
    assert rows[1]["message"].encode() == NO_RECORDS[0]
    assert "Cannot parse" in rows[1]["error"]


def test_a_drop_takes_a_fraction_of_its_packet_in_json(asked: Asked) -> None:
    records = asked.engine.query("SELECT avg(length(packet)) AS octets FROM droplog.drops")
    assert 0 < stored_bytes(asked.engine, "drops") < records[0]["octets"] / 4


def test_the_rest_of_the_record_can_be_asked_for(asked: Asked) -> None:
    (row,) = asked.engine.query(
        """SELECT countIf(JSONExtractUInt(packet, 'tcp', 'destination_port') = destination_port)
               AS same, count() AS all
           FROM droplog.drops WHERE ip_protocol = 6"""
    )
    assert row["same"] == row["all"] > 0


def test_who_is_dropped_most(asked: Asked) -> None:
    shown = ("source", "packets", "nodes")
    rows = [{key: row[key] for key in shown} for row in asked.answers["most-dropped"]]
    assert rows == asked.truth["sources"][:10]


def test_since_when(asked: Asked) -> None:
    rows = by_problem(asked.answers["since-when"])
    assert rows.keys() == {identity(problem) for problem in asked.truth["problems"]}
    for problem in asked.truth["problems"]:
        row = rows[identity(problem)]
        times = [seconds(row[key]) for key in ("begun", "seen", "first_ever")]
        expected = [problem["since"], problem["last"], problem["first_ever"]]
        assert times == pytest.approx(expected, abs=1e-5), problem


def test_on_how_many_nodes_at_once(asked: Asked) -> None:
    rows = by_problem(asked.answers["nodes-at-once"])
    nodes = {key: (row["nodes_in_a_minute"], row["nodes_in_all"]) for key, row in rows.items()}
    assert nodes == {
        identity(problem): (problem["nodes_in_a_minute"], problem["nodes"])
        for problem in asked.truth["problems"]
    }


def test_by_which_rule(asked: Asked) -> None:
    expected: Counter[tuple[str, str, str]] = Counter()
    for problem in asked.truth["problems"]:
        expected[problem["table"], problem["rule"], problem["match"]] += problem["packets"]
    rows = asked.answers["by-rule"]
    packets = {
        (row["table_name"], row["rule_name"], row["rule_match"]): row["packets"] for row in rows
    }
    assert packets == expected
    assert [row["packets"] for row in rows] == sorted(packets.values(), reverse=True)


def test_what_is_new_since_yesterday(asked: Asked) -> None:
    rows = by_problem(asked.answers["new-since-yesterday"])
    new = {
        identity(problem): problem
        for problem in asked.truth["problems"]
        if problem["kind"] not in ("old", "again at once")
    }
    assert new
    assert {key: row["packets"] for key, row in rows.items()} == {
        key: problem["packets"] for key, problem in new.items()
    }
    assert {key: row["nodes"] for key, row in rows.items()} == {
        key: problem["nodes"] for key, problem in new.items()
    }
    for key, problem in new.items():
        assert seconds(rows[key]["first_ever"]) == pytest.approx(problem["first_ever"], abs=1e-5)


def test_what_began_within_ten_seconds_on_more_than_ten_nodes(asked: Asked) -> None:
    rows = by_problem(asked.answers["began-at-once"])
    planned = [problem for problem in asked.truth["problems"] if problem["kind"] in AT_ONCE]
    assert planned
    assert {key: row["began_on_nodes"] for key, row in rows.items()} == {
        identity(problem): problem["began_on_nodes_at_once"] for problem in planned
    }
    for problem in planned:
        began = seconds(rows[identity(problem)]["began"])
        assert began == pytest.approx(problem["began"], abs=1e-5)


def test_each_thing_is_kept_for_its_time() -> None:
    ages = (1, 8, 31)  # days
    with ClickHouse() as engine:
        for statement in statements("tables"):
            engine.query(statement)
        engine.query("SYSTEM STOP TTL MERGES")
        for age in ages:
            engine.query(
                f"""INSERT INTO droplog.drops
                        (time, first_time, packets, node, problem, packet, frame_data, source_ip)
                    SELECT now64(9) - INTERVAL {age} DAY AS time, time, {age}, 'node-1',
                        'a problem', '{{"ipv4": {{}}}}', 'AAAA', '10.0.0.1'"""
            )
        engine.query("SYSTEM START TTL MERGES")
        engine.query("OPTIMIZE TABLE droplog.drops FINAL")
        rows = engine.query(
            "SELECT packets, packet, frame_data, source_ip FROM droplog.drops ORDER BY packets"
        )
        kept = {"packets": 1, "packet": '{"ipv4": {}}', "frame_data": "AAAA"}
        ends = {"source_ip": "10.0.0.1"}
        assert rows == [{**kept, **ends}, {"packets": 8, "packet": "", "frame_data": "", **ends}]
        minutes = engine.query("SELECT sum(packets) AS packets FROM droplog.drop_minutes")
        assert minutes == [{"packets": sum(ages)}]
        (problem,) = engine.query(
            "SELECT dateDiff('day', first, last) AS days FROM droplog.problem_list"
        )
        assert problem == {"days": 30}


def test_simulator_writes_what_it_says(tmp_path: Path) -> None:
    file = tmp_path / "truth.json"
    with TansuBroker() as broker:
        broker.make_topic(TOPIC)
        command = [ROOT / "tools" / "fleet-sim", "--brokers", broker.brokers, "--nodes", "20"]
        command += ["--rate", "1", "--seconds", "90", "--history", "0", "--encode", "native"]
        command += ["--begin", "2026-01-31T12:00Z", "--truth", file]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stdout[:13]) == (0, "1,800 records"), done.stderr
        records = broker.read(TOPIC, 1800)
    documents = [json.loads(record.value() or b"") for record in records]
    assert len(documents) == json.loads(file.read_text())["records"] == 1800
    assert [record.key() for record in records] == [
        document["signature"].encode() for document in documents
    ]
    assert {document["node"] for document in documents} == {f"node-{n:04}" for n in range(20)}
    assert min(document["time"] for document in documents) > "2026-01-31T12:00:00"
    assert max(document["time"] for document in documents) < "2026-01-31T12:01:30"


def test_simulator_says_what_a_broker_lacks() -> None:
    with TansuBroker() as broker:
        command = [ROOT / "tools" / "fleet-sim", "--brokers", broker.brokers, "--seconds", "90"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr == f"error: {TOPIC}: no such topic: make it as docs/fleet/topic.sh does\n"


def by_problem(rows: list[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The rows of an answer by what tells problems apart."""
    shown = ("table_name", "rule_name", "rule_match", "ethertype", "ip_protocol")
    keyed = {(*(row[key] for key in shown), row["destination_port"]): row for row in rows}
    assert len(keyed) == len(rows)
    return keyed


def identity(problem: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells a problem of the simulation apart."""
    keys = ("table", "rule", "match", "ethertype", "protocol", "port")
    return tuple(problem[key] for key in keys)


def seconds(text: str) -> float:
    """ClickHouse's text of a time in UTC, in seconds since the epoch."""
    moment = datetime.strptime(text[:26], "%Y-%m-%d %H:%M:%S.%f")
    return moment.replace(tzinfo=timezone.utc).timestamp()
