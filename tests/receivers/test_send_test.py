"""`ryu-droplog send-test` with real receivers: what is said of each kind of sink."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .fluent import FluentServer
from .otlp import OtlpReceiver
from .rsyslog import Rsyslog
from .service import PATIENCE, free_port


def send_test(folder: Path, *sinks: str) -> tuple[int, str, list[str]]:
    """Exit status, the mark, and what is said of each sink."""
    path = folder / "droplog.yaml"
    path.write_text("sinks:\n" + "".join(f"- {sink}\n" for sink in sinks))
    command = [sys.executable, "-m", "ryu_droplog", "send-test", "--config", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    mark, *said = done.stdout.splitlines()
    return done.returncode, mark.removeprefix("mark: "), said


def test_receivers_that_answer_acknowledge_and_others_are_written_to(tmp_path: Path) -> None:
    with FluentServer() as fluent, OtlpReceiver() as otlp, Rsyslog() as rsyslog:
        status, mark, said = send_test(
            tmp_path,
            f'{{name: a, type: fluent, servers: ["{fluent.address}"], require_ack: true}}',
            f'{{name: b, type: fluent, servers: ["{fluent.address}"]}}',
            f'{{name: c, type: otlp, endpoint: "{otlp.http}"}}',
            f'{{name: d, type: syslog, to: "{rsyslog.tcp}"}}',
        )
        expected = ["a (fluent): acknowledged", "b (fluent): written", "c (otlp): acknowledged"]
        assert ([*expected, "d (syslog): written"], 0) == (said, status)
        entries = fluent.read(2)
        otlp.read(1)
        rsyslog.read(1)
    marks = [entry.record["openvswitch"]["record"]["owner"]["test"] for entry in entries]
    assert [mark, mark] == marks


def test_receiver_that_is_gone_is_said_beside_one_that_is_there(tmp_path: Path) -> None:
    with FluentServer() as fluent:
        status, _, said = send_test(
            tmp_path,
            f'{{name: a, type: fluent, servers: ["tcp:127.0.0.1:{free_port()}"],'
            f" delivery: at_least_once, require_ack: true, spool: {{directory: {tmp_path}/s}}}}",
            f'{{name: b, type: fluent, servers: ["{fluent.address}"], require_ack: true}}',
        )
    assert "b (fluent): acknowledged" == said[1]
    assert said[0].startswith("a (fluent): failed: no answer within 10 s: ")
    assert "Connection refused" in said[0]
    assert 1 == status
    assert not (tmp_path / "s").exists()
