"""A fleet as docs/fleet.md builds it: the topic, the tables and the questions of docs/fleet."""

from __future__ import annotations

import re
import time
from typing import Any

from confluent_kafka.admin import AdminClient, NewTopic
from fleet.documents import FOLDER, question, statements
from fleet.truth import Truth

from .clickhouse import ClickHouse
from .kafka import TansuBroker
from .service import PATIENCE, eventually

TOPIC = "ryu_droplog.drops"
LOOK_BACK = 7 * 86_400
"""Seconds that "since when" looks back."""


def make_topic(broker: TansuBroker) -> NewTopic:
    """Make the topic as docs/fleet/topic.sh does, on the one broker that there is."""
    text = (FOLDER / "topic.sh").read_text()
    partitions = re.search(r"--partitions (\d+)", text)
    settings = dict(re.findall(r"--config (\S+?)=(\S+)", text))
    assert partitions is not None, text
    assert f"--topic {TOPIC}" in text, text
    topic = NewTopic(TOPIC, int(partitions[1]), 1, config=settings)
    admin = AdminClient(dict(broker.client))
    for made in admin.create_topics([topic]).values():
        made.result(PATIENCE)
    return topic


def make_tables(engine: ClickHouse, broker: TansuBroker, encoding: str) -> None:
    """Run tables.sql and the intake of an encoding."""
    for name in ("tables", f"intake-{encoding}"):
        for statement in statements(name, broker.brokers):
            engine.query(statement)


def wait_for_records(engine: ClickHouse, records: int, patience: float) -> float:
    """Wait until all are in the table. Gives the seconds from the first of them on.

    They come in blocks; the first block counts as begun when it is there.
    """
    count = "SELECT count() AS records FROM droplog.drops"
    eventually(lambda: engine.query(count)[0]["records"], "a first record is in", patience)
    begin = time.monotonic()
    engine.wait(count, records, patience)
    return time.monotonic() - begin


def ask(engine: ClickHouse, name: str, truth: Truth) -> tuple[list[dict[str, Any]], float]:
    """The answer to a question about the time of `truth`, and the seconds that it took."""
    look_back = LOOK_BACK if name == "since-when" else 0
    *parameters, query = question(name, truth, look_back)
    for parameter in parameters:
        engine.query(parameter)
    begin = time.monotonic()
    answer = engine.query(query)
    return answer, time.monotonic() - begin


def stored_bytes(engine: ClickHouse, table: str) -> float:
    """Compressed bytes of a row, indexes included, after ClickHouse has merged what there is."""
    engine.query(f"OPTIMIZE TABLE droplog.{table} FINAL")
    (query,) = statements("sizes")
    (octets,) = [row["bytes_a_record"] for row in engine.query(query) if row["table"] == table]
    return float(octets)
