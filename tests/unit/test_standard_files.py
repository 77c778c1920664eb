"""Standard files that are closed, and a standard error whose reader takes nothing any more."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ryu_droplog.text.standard_files import QUEUE_SIZE

PATIENCE = 30.0

WHAT_IS_OPEN = """
import os, sys
from ryu_droplog.text.standard_files import see_that_they_are_open
see_that_they_are_open()
next_one = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o600)
for descriptor in (1, 2):
    try:
        os.write(descriptor, b"line")
        outcome = b"written"
    except OSError:
        outcome = b"failed"
    os.write(next_one, outcome + b" ")
"""
LOG = """
import logging, threading
from ryu_droplog.text.standard_files import standard_error
logging.basicConfig(level=logging.INFO, format="%(message)s")
standard_error(threading).take_over(logging.getLogger().handlers)
for number in range({lines}):
    logging.info("line %d of the log", number)
print("done", flush=True)
input()
"""


@pytest.mark.parametrize(
    ("closed", "expected"),
    [
        ("<&-", "written written "),
        (">&-", "failed written "),
        ("2>&-", "written written "),
        ("<&- >&- 2>&-", "failed written "),
    ],
)
def test_closed_one_is_not_the_next_file_that_is_opened(
    tmp_path: Path, closed: str, expected: str
) -> None:
    file = tmp_path / "file"
    script = f'exec "$0" -c "$1" "$2" {closed}'
    subprocess.run(
        ("sh", "-c", script, sys.executable, WHAT_IS_OPEN, str(file)),
        check=True,
        capture_output=True,
        timeout=PATIENCE,
    )
    assert expected == file.read_text()


def test_reader_that_takes_nothing_keeps_nobody_waiting_and_hears_what_is_missing() -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    lines = 2 * QUEUE_SIZE
    with subprocess.Popen(
        (sys.executable, "-c", LOG.format(lines=lines)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=writing,
    ) as program:
        os.close(writing)
        assert program.stdin is not None
        assert program.stdout is not None
        assert b"done\n" == program.stdout.readline()
        with os.fdopen(reading) as log:
            program.stdin.write(b"\n")
            program.stdin.close()
            said = log.read().splitlines()
        assert 0 == program.wait(PATIENCE)
    assert "line 0 of the log" == said[0]
    missing = [line for line in said if "of the log are lost" in line]
    assert missing
    assert lines == len(said) - len(missing) + sum(int(one[1:].split()[0]) for one in missing)


def test_program_ends_where_nobody_ever_reads() -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    try:
        ended = subprocess.run(
            (sys.executable, "-c", LOG.format(lines=QUEUE_SIZE)),
            input=b"\n",
            stdout=subprocess.PIPE,
            stderr=writing,
            timeout=PATIENCE,
            check=False,
        )
    finally:
        os.close(reading)
        os.close(writing)
    assert (0, b"done\n") == (ended.returncode, ended.stdout)
