"""The sink `otlp` with a receiver that decodes with the published classes, by HTTP and by gRPC."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ryu_droplog.config.sink_spec import QueueSpec

from .certificates import Certificates, make_certificates
from .otlp import OtlpReceiver, Taken
from .sending import NODE, drops, numbered, place, ports, running, said, settled
from .service import eventually, free_port

BOTH = pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])


def endpoint(receiver: OtlpReceiver, protocol: str) -> str:
    """Where the receiver is, by that protocol."""
    return receiver.grpc if protocol == "grpc" else receiver.http


def numbers(taken: list[Taken]) -> list[int]:
    """The numbers of the drops."""
    return [record.attributes["source.port"] for record in taken]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Of an authority that signed the receiver's."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@BOTH
@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_drops_arrive_as_log_records(protocol: str, compression: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("Bearer open-sesame\n")
    with (
        OtlpReceiver() as receiver,
        running(
            "otlp",
            endpoint=endpoint(receiver, protocol),
            protocol=protocol,
            compression=compression,
            headers={"X-Scope-OrgID": "fabric"},
            headers_file={"Authorization": str(token)},
            resource={"k8s.cluster.name": "east"},
        ) as sink,
    ):
        sink.put(drops(3000))
        taken = receiver.read(3000)
        settled(sink, 3000)
    assert numbers(taken) == list(range(1, 3001))
    first, request = taken[0], receiver.requests[0]
    assert first.scope == "ryu_droplog"
    assert first.resource["host.name"] == NODE
    assert first.resource["service.name"] == "ryu_droplog"
    assert first.resource["k8s.cluster.name"] == "east"
    assert ports([first.body]) == [1]
    assert first.attributes["ovs.table.name"] == "SEC_GROUP_IN_TABLE"
    assert first.record.time_unix_nano == 1_764_000_000_250_000_000
    assert first.record.severity_text == "WARN"
    assert request["authorization"] == "Bearer open-sesame"
    assert request["x-scope-orgid"] == "fabric"
    if protocol != "grpc":
        assert request.get("content-encoding") == ("gzip" if compression == "gzip" else None)


@BOTH
def test_body_is_what_the_user_asks_for(protocol: str) -> None:
    with (
        OtlpReceiver() as receiver,
        running(
            "otlp", endpoint=endpoint(receiver, protocol), protocol=protocol, encode="native"
        ) as sink,
    ):
        sink.put([numbered(7)])
        [taken] = receiver.read(1)
    assert taken.body.startswith('{"version":1,')


@BOTH
def test_hostile_names_arrive_escaped(protocol: str) -> None:
    name = '\x1b[2J\u202e"}\n\u732b\ud800'
    with (
        OtlpReceiver() as receiver,
        running("otlp", endpoint=endpoint(receiver, protocol), protocol=protocol) as sink,
    ):
        sink.put([numbered(7, place(name, bridge=name))])
        [taken] = receiver.read(1)
    assert taken.attributes["ovs.bridge"] == '\\x1b[2J\\u202e"}\\n\u732b\\ud800'


@BOTH
def test_tls_is_verified(protocol: str, certificates: Certificates) -> None:
    with OtlpReceiver(certificates) as receiver:
        settings = {"endpoint": endpoint(receiver, protocol), "protocol": protocol}
        with running("otlp", **settings, tls={"ca": str(certificates.ca)}) as sink:
            sink.put(drops(1))
            settled(sink, 1)
        with running("otlp", **settings) as sink:
            sink.put(drops(1))
            said(sink, "cannot write")
            sink.abandoned.set()
        assert numbers(receiver.read(1)) == [1]


def test_tls_is_not_verified_where_the_user_says_so(certificates: Certificates) -> None:
    with (
        OtlpReceiver(certificates) as receiver,
        running("otlp", endpoint=receiver.http, tls={"verify": False}) as sink,
    ):
        sink.put(drops(1))
        settled(sink, 1)


@BOTH
def test_what_is_refused_for_now_is_sent_again(protocol: str) -> None:
    with OtlpReceiver() as receiver:
        receiver.refuse(503, 2)
        with running(
            "otlp",
            endpoint=endpoint(receiver, protocol),
            protocol=protocol,
            delivery="at_least_once",
        ) as sink:
            sink.put(drops(10))
            settled(sink, 10)
            assert list(sink.notices)[-1].endswith("writing again; 0 drops were not written")
        assert numbers(receiver.read(10)) == list(range(1, 11))
        assert len(receiver.requests) == 3


@pytest.mark.parametrize("status", [429, 503])
def test_throttled_request_is_sent_again_at_most_once_too(status: int) -> None:
    with OtlpReceiver() as receiver:
        receiver.refuse(status)
        with running("otlp", endpoint=receiver.http) as sink:
            sink.put(drops(10))
            settled(sink, 10)
        assert numbers(receiver.read(10)) == list(range(1, 11))


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500])
def test_refused_for_good_has_failed_and_the_next_goes_on(status: int) -> None:
    with OtlpReceiver() as receiver:
        receiver.refuse(status)
        with running("otlp", endpoint=receiver.http, delivery="at_least_once") as sink:
            sink.put(drops(10))
            settled(sink, 0, 10)
            said(sink, f"10 drops were rejected: HTTP status {status}")
            sink.put(drops(5, 11))
            settled(sink, 5, 10)
        assert numbers(receiver.read(5)) == list(range(11, 16))


@pytest.mark.parametrize(("delivery", "outcome"), [("at_most_once", 0), ("at_least_once", 10)])
def test_gateway_in_trouble_may_have_passed_it_on(delivery: str, outcome: int) -> None:
    with OtlpReceiver() as receiver:
        receiver.refuse(502)
        with running("otlp", endpoint=receiver.http, delivery=delivery) as sink:
            sink.put(drops(10))
            settled(sink, outcome, 10 - outcome)
            assert sink.state()["resent"] == outcome


@BOTH
def test_partial_success_is_counted_and_not_sent_again(protocol: str) -> None:
    with OtlpReceiver() as receiver:
        receiver.reject_some(3)
        with running(
            "otlp",
            endpoint=endpoint(receiver, protocol),
            protocol=protocol,
            delivery="at_least_once",
        ) as sink:
            sink.put(drops(10))
            settled(sink, 7, 3)
            said(sink, "3 drops were rejected: rejected by the test")
        assert len(receiver.requests) == 1


@BOTH
def test_receiver_that_comes_late_gets_what_waited(protocol: str) -> None:
    receiver = OtlpReceiver()
    with running("otlp", endpoint=endpoint(receiver, protocol), protocol=protocol) as sink:
        sink.put(drops(10))
        said(sink, "cannot write")
        with receiver:
            settled(sink, 10)
            assert numbers(receiver.read(10)) == list(range(1, 11))


@BOTH
def test_restarts_lose_nothing_at_least_once(protocol: str, tmp_path: Path) -> None:
    spool = {"directory": str(tmp_path), "bytes": 10**9}
    with (
        OtlpReceiver() as receiver,
        running(
            "otlp",
            endpoint=endpoint(receiver, protocol),
            protocol=protocol,
            delivery="at_least_once",
            spool=spool,
        ) as sink,
    ):
        for round in range(3):
            sink.put(drops(4000, 1 + 4000 * round))
            receiver.close_ports()
            sink.put(drops(1000, 12_001 + 1000 * round))
            receiver.open_ports()
        eventually(lambda: sink.written == 15_000, "all are acknowledged")
        assert set(numbers(receiver.read(15_000))) == set(range(1, 15_001))
        assert sink.failed == sink.refused == 0


def test_receiver_that_is_away_costs_nobody_but_the_sink() -> None:
    queue = QueueSpec(100, "oldest")
    with running("otlp", queue=queue, endpoint=f"http://127.0.0.1:{free_port()}") as sink:
        begin = time.monotonic()
        for number in range(200):
            sink.put(drops(10, 10 * number + 1))
        assert time.monotonic() - begin < 30
        assert sink.refused >= 2000 - 100
        sink.abandoned.set()
