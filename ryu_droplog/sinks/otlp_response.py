"""What an OTLP receiver answers, and what that means for the records that it was sent.

OpenTelemetry Protocol Specification 1.9, "OTLP/HTTP Response", "OTLP/gRPC Response", "Failures" and
"OTLP/gRPC Throttling".
"""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from ryu_droplog.sinks.delivery import NotAcknowledged, NotSent, PartlyRejected, Rejected
from ryu_droplog.text.printable import MESSAGE, printable

OK = 200
NOTHING_TAKEN = frozenset((429, 503))
"""HTTP: too many requests, service unavailable. To be sent again, when the answer says so."""
PERHAPS_TAKEN = frozenset((502, 504))
"""HTTP: of a gateway that does not know what became of the request. To be sent again."""
LONGEST_DELAY = 300.0
"""Seconds that an answer may ask to wait at most."""
GRPC_RETRYABLE = frozenset(
    ("CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS")
)
"""gRPC: to be sent again. RESOURCE_EXHAUSTED is only where the answer has a RetryInfo."""
_NO_CONNECTION = "failed to connect"  # what gRPC's core says of an address that nobody listens at


def check_http(status: int, retry_after: str | None, body: bytes) -> str:
    """Raise what a status other than 200 means for the chunk, and PartlyRejected.

    Returns what the receiver warns of, if anything. Raises NotSent, NotAcknowledged and
    Rejected.
    """
    if status == OK:
        try:
            return check_partial(ExportLogsServiceResponse.FromString(body))
        except DecodeError:
            return "its answer is none of OTLP's"
    text = f"HTTP status {status}{_status_text(body)}"
    if status in NOTHING_TAKEN:
        delay = seconds_of(retry_after, time.time)
        raise NotSent(text, delay or 0.0)
    raise NotAcknowledged(text) if status in PERHAPS_TAKEN else Rejected(text)


def check_partial(response: ExportLogsServiceResponse) -> str:
    """Raise PartlyRejected where records were; returns what the receiver warns of, if anything."""
    partial = response.partial_success
    text = printable(partial.error_message, MESSAGE)
    if partial.rejected_log_records > 0:
        raise PartlyRejected(partial.rejected_log_records, text or "no reason given")
    return text


def check_grpc(code: str, details: str, status: bytes) -> None:
    """Raise what a gRPC status other than OK means for the chunk.

    `code` is its name, `status` the metadata `grpc-status-details-bin`, empty where there is none.
    """
    text = f"gRPC status {code}: {printable(details, MESSAGE)}"
    delay = _retry_delay(status)
    if delay is not None and (code in GRPC_RETRYABLE or code == "RESOURCE_EXHAUSTED"):
        raise NotSent(text, delay)
    if code not in GRPC_RETRYABLE:
        raise Rejected(text)
    if code == "UNAVAILABLE" and details.startswith(_NO_CONNECTION):
        raise NotSent(text)
    raise NotAcknowledged(text)


def seconds_of(retry_after: str | None, clock: Callable[[], float]) -> float | None:
    """The header Retry-After (RFC 9110 section 10.2.3): seconds, or a date; None: it is neither.

    `clock` gives seconds since the epoch.
    """
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_DELAY)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return min(max(date.timestamp() - clock(), 0.0), LONGEST_DELAY)


def _status_text(body: bytes) -> str:
    """What the Status message in the body of a failure says."""
    try:
        message = Status.FromString(body).message
    except DecodeError:
        return ""
    return f": {printable(message, MESSAGE)}" if message else ""


def _retry_delay(status: bytes) -> float | None:
    """Seconds of the RetryInfo in a Status; None: it has none."""
    try:
        details = Status.FromString(status).details
        for detail in details:
            info = RetryInfo()
            if detail.Unpack(info):
                seconds: float = info.retry_delay.seconds + info.retry_delay.nanos / 1e9
                return min(max(seconds, 0.0), LONGEST_DELAY)
    except DecodeError:
        pass
    return None
