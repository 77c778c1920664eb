"""`ryu-droplog web` as a user runs it, and what a browser says to it."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from waiting import eventually

START = 60.0
"""Seconds that the command has to be ready."""
COMMAND = (str(Path(sys.executable).parent / "ryu-droplog"), "web", "--listen", "127.0.0.1:0")


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class Page:
    """One that runs."""

    def __init__(self, process: subprocess.Popen[bytes], errors: Path) -> None:
        self.process = process
        self.errors = errors
        self.port = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def is_ready(self) -> bool:
        found = re.search(r"the page is at \w+://\S+:(\d+)/", self.errors.read_text())
        self.port = int(found[1]) if found else 0
        return found is not None or self.process.poll() is not None

    def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """One request; `_` in the name of a header stands for `-`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers=names)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        told = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, told, body)

    def shown(self, query: str = "") -> dict[str, Any]:
        """What is shown first."""
        return next(self.events(query))

    def events(self, query: str = "") -> Iterator[dict[str, Any]]:
        """What is shown, one after the other."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", f"/api/live?{query}")
        answer = connection.getresponse()
        assert 200 == answer.status, answer.read()
        kind = ""
        try:
            while line := answer.readline().decode():
                name, _, value = line.rstrip("\n").partition(": ")
                if name == "event":
                    kind = value
                elif name == "data" and kind == "shown":
                    yield json.loads(value)
        finally:
            answer.close()
            connection.close()


@contextmanager
def running(
    folder: Path, *words: str, env: Mapping[str, str] = os.environ, stdin: int = subprocess.DEVNULL
) -> Iterator[Page]:
    """The command with these words more, until the end of the block."""
    errors = folder / f"web-errors-{len(list(folder.glob('web-errors-*')))}"
    with errors.open("wb") as said:
        process = subprocess.Popen(
            ("setpriv", "--pdeathsig", "KILL", *COMMAND, *words),
            stdin=stdin,
            stdout=said,
            stderr=said,
            env=dict(env),
        )
    page = Page(process, errors)
    try:
        assert eventually(page.is_ready, START), errors.read_text()
        assert page.port, errors.read_text()
        yield page
    finally:
        process.terminate()
        process.wait(30)
