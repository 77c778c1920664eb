"""The OTLP receiver: by HTTP and by gRPC, with TLS, and when it is in trouble."""

from __future__ import annotations

import gzip
import http.client
import ssl
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub

from .certificates import make_certificates
from .otlp import OtlpReceiver


def request(number: int) -> ExportLogsServiceRequest:
    """One log record with a number."""
    made = ExportLogsServiceRequest()
    of_resource = made.resource_logs.add()
    host = of_resource.resource.attributes.add(key="host.name")
    host.value.string_value = "node.test"
    of_scope = of_resource.scope_logs.add()
    of_scope.scope.name = "ryu_droplog"
    record = of_scope.log_records.add(severity_number=13, time_unix_nano=1)
    record.body.string_value = "dropped"
    record.attributes.add(key="number").value.int_value = number
    return made


def post(receiver: OtlpReceiver, number: int) -> int:
    """Send a request by HTTP, compressed; the answer's status."""
    if receiver.certificates is None:
        connection = http.client.HTTPConnection("127.0.0.1", receiver.http_port, timeout=60)
    else:
        context = ssl.create_default_context(cafile=receiver.certificates.ca)
        connection = http.client.HTTPSConnection(
            "127.0.0.1", receiver.http_port, timeout=60, context=context
        )
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
    connection.request(
        "POST", "/v1/logs", gzip.compress(request(number).SerializeToString()), headers
    )
    answer = connection.getresponse()
    ExportLogsServiceResponse.FromString(answer.read())
    connection.close()
    return answer.status


def export(receiver: OtlpReceiver, number: int) -> ExportLogsServiceResponse:
    """Send a request by gRPC."""
    address = f"127.0.0.1:{receiver.grpc_port}"
    if receiver.certificates is None:
        channel = grpc.insecure_channel(address)
    else:
        authority = receiver.certificates.ca.read_bytes()
        channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(authority))
    with channel:
        answer: ExportLogsServiceResponse = LogsServiceStub(channel).Export(
            request(number), timeout=60
        )
    return answer


@pytest.mark.parametrize("with_tls", [False, True])
def test_both_ways_in(tmp_path: Path, with_tls: bool) -> None:
    with OtlpReceiver(make_certificates(tmp_path) if with_tls else None) as receiver:
        assert post(receiver, 1) == 200
        assert export(receiver, 2).partial_success.rejected_log_records == 0
        taken = receiver.read(2)
    assert [record.attributes for record in taken] == [{"number": 1}, {"number": 2}]
    assert {record.body for record in taken} == {"dropped"}
    assert {record.resource["host.name"] for record in taken} == {"node.test"}


def test_what_it_refuses_is_not_taken() -> None:
    with OtlpReceiver() as receiver:
        receiver.refuse(429)
        assert post(receiver, 1) == 429
        receiver.refuse(503)
        with pytest.raises(grpc.RpcError) as refused:
            export(receiver, 2)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE  # type: ignore[attr-defined]
        receiver.reject_some(1)
        assert export(receiver, 3).partial_success.rejected_log_records == 1
        assert [record.attributes for record in receiver.read(1)] == [{"number": 3}]


def test_it_comes_back_on_its_ports() -> None:
    with OtlpReceiver() as receiver:
        receiver.close_ports()
        with pytest.raises(OSError, match="refused"):
            post(receiver, 1)
        receiver.open_ports()
        assert post(receiver, 2) == 200
        export(receiver, 3)
        assert [record.attributes["number"] for record in receiver.read(2)] == [2, 3]
