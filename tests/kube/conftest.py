"""The API server that the tests share, and the program under test."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kubernetes import client

from .cluster import PATIENCE, Cluster

COMMAND = (
    sys.executable,
    "-W",
    "ignore",
    "-c",
    "from ryu_droplog.cli import main; main()",
)
MANIFEST = Path(__file__).parents[2] / "docs" / "kubernetes.yaml"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running API server, to which the manifest of the docs was applied."""
    assets = Path(os.environ["KUBEBUILDER_ASSETS"])
    with Cluster(assets, tmp_path_factory.mktemp("kube")) as started:
        started.kubectl("apply", "-f", str(MANIFEST))
        yield started


@pytest.fixture(scope="session")
def kubeconfig(cluster: Cluster) -> Path:
    """Credentials of the manifest's service account, and no more."""
    request = client.AuthenticationV1TokenRequest(
        spec=client.V1TokenRequestSpec(audiences=["https://kubernetes.default.svc"])
    )
    token = cluster.core.create_namespaced_service_account_token(
        "ryu-droplog-events", "ryu-droplog", request
    )
    return cluster.kubeconfig(token.status.token, "events")


def eventually(look: Callable[[], bool], what: Callable[[], str]) -> None:
    """Wait until `look` is true; fail with `what` after a while."""
    deadline = time.monotonic() + PATIENCE
    while not look():
        if time.monotonic() > deadline:
            pytest.fail(what())
        time.sleep(0.1)


class Program:
    """`ryu-droplog events`, running."""

    def __init__(self, folder: Path, kubeconfig: Path, text: str) -> None:
        self.socket = folder / "run" / "events.sock"
        self._log = folder / "log"
        config = folder / "droplog.yaml"
        config.write_text(text.format(socket=self.socket, kubeconfig=kubeconfig))
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "events", "--config", str(config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "NODE_NAME": "n1"},
            )  # fmt: skip

    def says(self, text: str) -> None:
        """Wait until it has said `text`."""
        eventually(lambda: text in self.log(), lambda: f"no {text!r} in:\n{self.log()}")

    def log(self) -> str:
        return self._log.read_text()

    def send(self, *events: dict[str, str]) -> None:
        """As an exporter does."""
        with socket.socket(socket.AF_UNIX) as exporter:
            exporter.connect(str(self.socket))
            exporter.sendall(json.dumps(events).encode())

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)


@pytest.fixture
def start(tmp_path: Path, kubeconfig: Path) -> Iterator[Callable[[str], Program]]:
    """Starts the program with a droplog.yaml; it is stopped at the end."""
    started: list[Program] = []

    def begin(text: str) -> Program:
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(Program(folder, kubeconfig, text))
        return started[-1]

    yield begin
    for program in started:
        if program.process.poll() is None:
            program.process.kill()
            program.process.wait()
