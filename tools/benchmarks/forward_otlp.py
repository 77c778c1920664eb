"""How many drops a second go to an OTLP receiver, beside the receiver's own limit.

The receiver is the tests' own, in a process of its own: it decodes with the published classes and
keeps what it took. Its limit is how fast it takes requests that were made before, from the client
libraries alone (`http.client`, grpcio) that do nothing else.
"""

from __future__ import annotations

import http.client
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from benchmarks.into_receiver import Work, make, measure, through, use_receivers
from benchmarks.report import Report
from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.delivery import Chunk
from ryu_droplog.sinks.otlp import Otlp
from ryu_droplog.sinks.otlp_grpc import METHOD

_NOWHERE = "http://127.0.0.1:1"


class Kept(Otlp):
    """Makes requests, and sends none."""

    def __init__(self, spec: SinkSpec, context: SinkContext) -> None:
        super().__init__(spec, context)
        self.requests: list[bytes] = []

    def send(self, chunk: Chunk) -> None:
        self.requests.append(self.request(chunk))


def run(report: Report, quick: bool) -> None:
    """Measure both protocols, with and without compression."""
    section = report.section("forward_otlp", "otlp: drops a second into a receiver")
    with _receiver() as (http_port, grpc_port):
        by_http, by_grpc = f"http://127.0.0.1:{http_port}", f"grpc://127.0.0.1:{grpc_port}"
        measure(
            section,
            {
                "receiver alone, http": lambda work: _http(http_port, work),
                "receiver alone, grpc": lambda work: _grpc(grpc_port, work),
                "http": lambda work: through(
                    work, make("otlp", endpoint=by_http, compression="none")
                ),
                "http, gzip": lambda work: through(work, make("otlp", endpoint=by_http)),
                "grpc": lambda work: through(
                    work, make("otlp", endpoint=by_grpc, compression="none")
                ),
                "grpc, gzip": lambda work: through(work, make("otlp", endpoint=by_grpc)),
            },
            quick,
        )
    section.note(
        "receiver alone: requests made before, without compression; processor: of this program"
        " alone, a drop; every request is acknowledged"
    )


def _requests(work: Work) -> list[bytes]:
    kept = make("otlp", Kept, endpoint=_NOWHERE)
    through(work, kept)
    assert isinstance(kept, Kept)
    return kept.requests


def _http(port: int, work: Work) -> tuple[float, float]:
    requests = _requests(work)
    connection = http.client.HTTPConnection("127.0.0.1", port)
    begin, processor = time.monotonic(), time.process_time()
    for request in requests:
        headers = {"content-type": "application/x-protobuf"}
        connection.request("POST", "/v1/logs", request, headers)
        response = connection.getresponse()
        response.read()
        if response.status != http.client.OK:
            raise RuntimeError(f"the receiver answers {response.status}")
    took = time.monotonic() - begin, time.process_time() - processor
    connection.close()
    return took


def _grpc(port: int, work: Work) -> tuple[float, float]:
    requests = _requests(work)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(METHOD)
        begin, processor = time.monotonic(), time.process_time()
        for request in requests:
            call(request)
        return time.monotonic() - begin, time.process_time() - processor


@contextmanager
def _receiver() -> Iterator[tuple[int, int]]:
    """The receiver in a process of its own; yields its ports."""
    spawn = multiprocessing.get_context("spawn")
    ours, its = spawn.Pipe()
    process = spawn.Process(target=_receive, args=(its,), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send(None)
        process.join(20)
        process.kill()


def _receive(pipe: Any) -> None:
    use_receivers()
    from receivers.otlp import OtlpReceiver

    with OtlpReceiver() as receiver:
        pipe.send((receiver.http_port, receiver.grpc_port))
        pipe.recv()
