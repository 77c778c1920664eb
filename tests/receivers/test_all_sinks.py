"""All sinks at once, one of them with a dead receiver: the others write all that they get."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .all_sinks import Receivers, running
from .sending import drops
from .service import PATIENCE, eventually

COUNT, BATCH = 5_000, 50


@pytest.fixture(scope="module")
def receivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receivers]:
    with Receivers(tmp_path_factory.mktemp("receivers")) as started:
        yield started


@pytest.mark.parametrize("dead", ["", "fluent", "kafka", "notification", "otlp", "syslog"])
def test_sink_whose_receiver_is_dead_leaves_the_others_alone(
    receivers: Receivers, dead: str
) -> None:
    sinks = receivers.sinks(COUNT)
    others = {type: sink for type, sink in sinks.items() if type != dead}
    if dead:
        kill, start = receivers.switches[dead]
        kill()
    try:
        with running(sinks, PATIENCE):
            for first in range(1, COUNT, BATCH):
                batch = drops(BATCH, first)
                for sink in sinks.values():
                    sink.put(batch)
            for type, sink in others.items():
                eventually(lambda: sink.written == COUNT, f"{type}: {COUNT} drops written")  # noqa: B023
            readings = {type: sink.reading() for type, sink in sinks.items()}
    finally:
        if dead:
            start()
    for type, reading in readings.items():
        total = reading.total()
        assert 0 == reading.unexplained()
        if type == dead:
            assert 0 == total.written
        else:
            assert (COUNT, 0, 0) == (total.written, total.refused, total.failed)
