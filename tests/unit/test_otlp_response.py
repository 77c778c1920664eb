"""What a receiver's answers mean for what was sent."""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import format_datetime

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from ryu_droplog.sinks.delivery import NotAcknowledged, NotSent, PartlyRejected, Rejected
from ryu_droplog.sinks.otlp_response import (
    LONGEST_DELAY,
    check_grpc,
    check_http,
    check_partial,
    seconds_of,
)

NOW = 1_764_000_000.0


def partial(rejected: int, text: str = "") -> ExportLogsServiceResponse:
    """An answer of that kind."""
    response = ExportLogsServiceResponse()
    response.partial_success.rejected_log_records = rejected
    response.partial_success.error_message = text
    return response


def status(seconds: int | None = None, message: str = "slow down") -> bytes:
    """A Status, with a RetryInfo where there are seconds."""
    made = Status(message=message)
    if seconds is not None:
        info = RetryInfo()
        info.retry_delay.seconds = seconds
        detail = AnyMessage()
        detail.Pack(info)
        made.details.append(detail)
    data: bytes = made.SerializeToString()
    return data


def test_success_is_silent() -> None:
    assert check_http(200, None, b"") == ""
    assert check_partial(ExportLogsServiceResponse()) == ""


def test_success_may_warn() -> None:
    assert check_http(200, None, partial(0, "old\nschema").SerializeToString()) == "old\\nschema"


def test_success_with_another_body_is_told_apart() -> None:
    assert check_http(200, None, b"\xff\xff") == "its answer is none of OTLP's"


def test_partial_success_says_how_many() -> None:
    with pytest.raises(PartlyRejected, match="too old") as error:
        check_http(200, None, partial(3, "too old").SerializeToString())
    assert error.value.number == 3


@pytest.mark.parametrize("code", [429, 503])
def test_throttled_is_not_sent(code: int) -> None:
    with pytest.raises(NotSent, match=f"HTTP status {code}: slow down") as error:
        check_http(code, "7", status())
    assert error.value.after == 7.0
    with pytest.raises(NotSent) as error:
        check_http(code, None, b"<html>")
    assert error.value.after == 0.0


@pytest.mark.parametrize("code", [502, 504])
def test_gateways_may_have_passed_it_on(code: int) -> None:
    with pytest.raises(NotAcknowledged):
        check_http(code, None, b"")


@pytest.mark.parametrize("code", [301, 400, 401, 404, 413, 500, 501])
def test_all_else_is_for_good(code: int) -> None:
    with pytest.raises(Rejected, match=f"HTTP status {code}"):
        check_http(code, "7", b"")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        (" 12 ", 12.0),
        ("9" * 30, LONGEST_DELAY),
        (format_datetime(datetime.fromtimestamp(NOW + 9, timezone.utc), usegmt=True), 9.0),
        (format_datetime(datetime.fromtimestamp(NOW - 9, timezone.utc), usegmt=True), 0.0),
        (format_datetime(datetime.fromtimestamp(NOW + 9e6, timezone.utc)), LONGEST_DELAY),
        ("soon", None),
        ("-1", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, seconds: float | None) -> None:
    assert seconds == seconds_of(text, lambda: NOW)


@pytest.mark.parametrize(
    "code",
    ["CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"],
)
def test_call_that_may_be_sent_again_may_have_arrived(code: str) -> None:
    with pytest.raises(NotAcknowledged, match=f"gRPC status {code}: Socket closed"):
        check_grpc(code, "Socket closed", b"")


def test_call_to_nobody_is_not_sent() -> None:
    with pytest.raises(NotSent):
        check_grpc("UNAVAILABLE", "failed to connect to all addresses; last error: ...", b"")


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED"])
def test_call_that_is_throttled_is_not_sent(code: str) -> None:
    with pytest.raises(NotSent) as error:
        check_grpc(code, "slow down", status(5))
    assert error.value.after == 5.0


@pytest.mark.parametrize(
    "code", ["RESOURCE_EXHAUSTED", "INVALID_ARGUMENT", "UNAUTHENTICATED", "UNIMPLEMENTED"]
)
def test_other_calls_have_failed(code: str) -> None:
    with pytest.raises(Rejected):
        check_grpc(code, "no", status())


def test_status_that_is_none_is_as_one_without_details() -> None:
    with pytest.raises(NotAcknowledged):
        check_grpc("UNAVAILABLE", "no", b"\xff\xff")
