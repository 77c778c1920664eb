"""A fleet on real engines: nodes -> Kafka -> ClickHouse, as docs/fleet.md builds it.

The broker and the engine are those of tests/receivers, the records those of tools/fleet-sim, the
tables and the questions those of docs/fleet. All of it runs on this machine at once.
"""

from __future__ import annotations

import threading
import time

from fleet.catalogue import MINUTE, SHORTEST
from fleet.documents import QUESTIONS
from fleet.simulation import Simulation, Size
from fleet.truth import Truth
from fleet.writer import write
from private_ovs import CommandError
from receivers import fleet_bed
from receivers.clickhouse import ClickHouse
from receivers.kafka import TansuBroker

from benchmarks.processes import processor_seconds
from benchmarks.report import Figure, Report, Section, progress

WHOLE = Size(nodes=1000, rate=20, seconds=600, history=10)
QUICK = Size(nodes=1000, rate=4, seconds=90, history=10)
ENCODING = "ecs"
TIMES = 5
"""How often each question is asked."""
INGEST_TIME = 1800.0
"""Seconds that ClickHouse may take."""
LOOK_PAUSE = 2.0
_JSON_COLUMNS = ("context", "packet", "frame_data")
"""What tables.sql keeps for a week."""


def run(report: Report, quick: bool, seconds: float | None) -> None:
    """Write a fleet's records, take them in, and ask every question.

    `seconds` are of the fleet's own time, at least `SHORTEST`; None: as many as the size has.
    """
    size = QUICK if quick else WHOLE
    if seconds is not None:
        size = size._replace(seconds=max(SHORTEST, int(seconds)))
    section = report.section(
        "fleet", f"a fleet: {size.nodes:,} nodes, {size.rate} drops/s each, {size.seconds} s"
    )
    begin = int(time.time() - size.seconds) // MINUTE * MINUTE
    simulation = Simulation(size, begin, ENCODING)
    try:
        with TansuBroker() as broker, ClickHouse() as engine:
            fleet_bed.make_topic(broker)
            _take_in(section, simulation, broker, engine)
            _sizes(section, engine)
            _ask(section, engine, simulation.truth)
    except AssertionError as error:
        raise CommandError(str(error)) from None
    section.note("bytes are compressed, with indexes, after a merge; first: the question's first")


class _Intake(threading.Thread):
    """Looks at how many records ClickHouse has, until it has all."""

    def __init__(self, engine: ClickHouse, records: int) -> None:
        super().__init__(daemon=True)
        self._engine, self._records = engine, records
        self.begun = self.ended = 0.0
        self.before = 0
        """Records that were there when the first were seen."""
        self.taken = 0

    def run(self) -> None:
        """Look."""
        while self.taken < self._records:
            (row,) = self._engine.query("SELECT count() AS records FROM droplog.drops")
            self.taken = row["records"]
            now = time.monotonic()
            if self.taken and not self.begun:
                self.begun, self.before = now, self.taken
            self.ended = now
            time.sleep(LOOK_PAUSE)


def _take_in(
    section: Section, simulation: Simulation, broker: TansuBroker, engine: ClickHouse
) -> None:
    """All records, and then how fast ClickHouse takes them, while nobody writes."""
    records = simulation.size.records
    events = simulation.events()
    before = time.process_time()
    written, octets, seconds = write(events, broker.brokers, fleet_bed.TOPIC, records)
    writer = time.process_time() - before
    before = processor_seconds(engine.pid)
    fleet_bed.make_tables(engine, broker, ENCODING)
    intake = _Intake(engine, records)
    intake.start()
    deadline = time.monotonic() + INGEST_TIME
    while intake.is_alive():
        intake.join(10)
        progress(f"fleet: {intake.taken:,} of {records:,} records taken in")
        if time.monotonic() > deadline:
            raise CommandError(f"{intake.taken:,} of {records:,} records within {INGEST_TIME} s")
    (row,) = engine.query("SELECT count() AS records, sum(packets) AS packets FROM droplog.drops")
    expected = {"records": records, "packets": simulation.truth.packets}
    if row != expected:
        raise CommandError(f"ClickHouse has {row}, expected {expected}")
    rate = (records - intake.before) / max(intake.ended - intake.begun, LOOK_PAUSE)
    section.add(
        "written to Kafka",
        records=Figure(written, "records"),
        rate=Figure(written / seconds, "1/s"),
        processor=Figure(writer / written * 1e6, "µs"),
        a_record=Figure(octets / written, "bytes"),
    )
    section.add(
        "taken in by ClickHouse",
        records=Figure(records, "records"),
        rate=Figure(rate, "1/s"),
        processor=Figure((processor_seconds(engine.pid) - before) / records * 1e6, "µs"),
    )


def _sizes(section: Section, engine: ClickHouse) -> None:
    for table in ("drops", "drop_minutes", "problems"):
        octets = fleet_bed.stored_bytes(engine, table)
        (row,) = engine.query(f"SELECT count() AS records FROM droplog.{table}")
        section.add(
            f"table {table}",
            records=Figure(row["records"], "records"),
            a_record=Figure(octets, "bytes"),
        )
    names = ", ".join(f"'{name}'" for name in _JSON_COLUMNS)
    (row,) = engine.query(
        f"""SELECT sum(column_data_compressed_bytes) / any(total) AS bytes
            FROM (SELECT *, sum(if(column = 'time', rows, 0)) OVER () AS total
                  FROM system.parts_columns
                  WHERE active AND database = 'droplog' AND table = 'drops')
            WHERE column IN ({names})"""
    )
    section.add("of it kept for a week", a_record=Figure(row["bytes"], "bytes"))


def _ask(section: Section, engine: ClickHouse, truth: Truth) -> None:
    for name in QUESTIONS:
        took, rows = [], 0
        for _ in range(TIMES):
            answer, seconds = fleet_bed.ask(engine, name, truth)
            took.append(seconds * 1000)
            rows = len(answer)
        section.add(
            name,
            first=Figure(took[0], "ms"),
            then=Figure.of(took[1:], "ms"),
            rows=Figure(rows, "rows"),
        )
