"""`ryu-droplog send-test`: one marked record through each sink, and what is said of it."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ryu_droplog.cli import main
from ryu_droplog.sinks.trial import marked_drop


def send_test(folder: Path, sinks: str, *arguments: str, more: str = "") -> Result:
    """Run the command with these items of `sinks`."""
    path = folder / "droplog.yaml"
    path.write_text(f"log_directory: {folder}\n{more}sinks:\n{sinks}")
    return CliRunner().invoke(main, ["send-test", "--config", str(path), *arguments])


def mark(result: Result) -> str:
    found = re.match(r"mark: ([0-9a-f]{8})\n", result.stdout)
    assert found is not None, result.output
    return found[1]


def said(result: Result) -> list[str]:
    """What is said of each sink."""
    return result.stdout.splitlines()[1:]


def test_each_sink_gets_one_marked_record(tmp_path: Path) -> None:
    sinks = (
        "- {name: lines, type: file, path: lines.log, encode: opflex}\n"
        "- {name: whole, type: file, path: whole.log, encode: json}\n"
    )
    result = send_test(tmp_path, sinks)
    assert ["lines (file): written", "whole (file): written"] == said(result)
    assert 0 == result.exit_code
    (line,) = (tmp_path / "lines.log").read_text().splitlines()
    assert "SEND_TEST MISS" in line
    assert "SRC=192.0.2.1 DST=192.0.2.2" in line
    (whole,) = (tmp_path / "whole.log").read_text().splitlines()
    assert mark(result) == json.loads(whole)["owner"]["test"]


def test_only_the_sink_that_is_named_gets_it(tmp_path: Path) -> None:
    sinks = "- {name: a, type: file, path: a.log}\n- {name: b, type: file, path: b.log}\n"
    result = send_test(tmp_path, sinks, "b")
    assert (["b (file): written"], 0) == (said(result), result.exit_code)
    assert not (tmp_path / "a.log").exists()


def test_filters_of_a_sink_are_not_asked(tmp_path: Path) -> None:
    sinks = "- {name: a, type: file, path: a.log, filters: [{name: all, dport: 9}]}\n"
    result = send_test(tmp_path, sinks)
    assert ["a (file): written"] == said(result)


def test_record_on_standard_output_is_a_line_like_any(tmp_path: Path) -> None:
    """In a process of its own, because the sink writes to the descriptor."""
    path = tmp_path / "droplog.yaml"
    path.write_text("sinks: [{name: log, type: stdout}]\n")
    command = [sys.executable, "-m", "ryu_droplog", "send-test", "--config", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert 0 == done.returncode, done.stderr
    assert "SEND_TEST MISS" in done.stdout
    assert "log (stdout): written" in done.stdout.splitlines()


def test_record_reaches_syslog(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(tmp_path / "log"))
        daemon.settimeout(20)
        result = send_test(tmp_path, f"- {{name: s, type: syslog, to: 'unix:{tmp_path}/log'}}\n")
        assert (["s (syslog): written"], 0) == (said(result), result.exit_code)
        assert b"SEND_TEST MISS" in daemon.recv(65536)


def test_record_is_a_packet_event_like_any(tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "events"))
    listener.listen()
    read: list[bytes] = []

    def take() -> None:
        connection, _ = listener.accept()
        with connection:
            while data := connection.recv(65536):
                read.append(data)

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    result = send_test(tmp_path, f"- {{name: e, type: packet-events, socket: {tmp_path}/events}}\n")
    assert (["e (packet-events): written"], 0) == (said(result), result.exit_code)
    thread.join(20)
    listener.close()
    assert "192.0.2.1" == json.loads(b"".join(read))[0]["SourceIP"]


@pytest.mark.parametrize(
    ("sink", "why"),
    [
        (
            "- {{name: x, type: packet-events, socket: {0}/none}}\n",
            "x (packet-events): failed: No such file or directory",
        ),
        (
            "- {{name: x, type: syslog, to: 'unix:{0}/none'}}\n",
            "x (syslog): failed: {0}/none: No such file or directory",
        ),
        (
            "- {{name: x, type: file, path: /proc/none/x.log}}\n",
            "x (file): failed: /proc/none/x.log: cannot be written: No such file or directory",
        ),
        (
            "- {{name: x, type: file, path: /dev/full}}\n",
            "x (file): failed: No space left on device",
        ),
    ],
)
def test_sink_that_fails_says_why(tmp_path: Path, sink: str, why: str) -> None:
    result = send_test(tmp_path, sink.format(tmp_path))
    assert ([why.format(tmp_path)], 3) == (said(result), result.exit_code)


def test_one_of_two_that_fails_needs_attention(tmp_path: Path) -> None:
    sinks = (
        "- {name: good, type: file, path: good.log}\n- {name: bad, type: file, path: /dev/full}\n"
    )
    result = send_test(tmp_path, sinks)
    expected = ["good (file): written", "bad (file): failed: No space left on device"]
    assert (expected, 1) == (said(result), result.exit_code)


def test_receiver_that_does_not_read_costs_its_time_and_no_more(tmp_path: Path) -> None:
    """A FIFO whose reader stands still: what is written fills it."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    try:
        while os.write(writer, bytes(4096)):
            pass
    except BlockingIOError:
        pass
    result = send_test(tmp_path, f"- {{name: f, type: file, path: {path}}}\n", "--timeout", "1")
    os.close(reader)
    os.close(writer)
    assert ["f (file): failed: no answer within 1 s"] == said(result)
    assert 3 == result.exit_code


@pytest.mark.parametrize(
    ("sinks", "arguments", "expected"),
    [
        (
            "- {name: a, type: stdout}\n",
            ["b"],
            'ryu-droplog: no sink is called "b"; the configuration has: a\n',
        ),
        ("  []\n", [], "ryu-droplog: no sink is configured; the configuration has: none\n"),
    ],
)
def test_no_such_sink_is_a_wrong_command_line(
    tmp_path: Path, sinks: str, arguments: list[str], expected: str
) -> None:
    result = send_test(tmp_path, sinks, *arguments)
    assert (2, "", expected) == (result.exit_code, result.stdout, result.stderr)


def test_wrong_configuration_is_said_as_by_every_command(tmp_path: Path) -> None:
    result = send_test(tmp_path, "- {name: a, type: nonsense}\n")
    assert 2 == result.exit_code
    assert "nonsense" in result.stderr


def test_marked_frame_is_whole() -> None:
    drop = marked_drop("0123abcd")
    assert not drop.truncated
    assert drop.frame.endswith(b"ryu-droplog send-test 0123abcd")
    words = [int.from_bytes(drop.frame[i : i + 2], "big") for i in range(14, 34, 2)]
    total = sum(words)
    assert 0xFFFF == (total & 0xFFFF) + (total >> 16)
