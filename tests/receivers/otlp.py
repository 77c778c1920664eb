"""An OTLP receiver for logs, by HTTP with protobuf and by gRPC, with the published classes.

No collector can be had, so this one is the tests' own: the messages are those of PyPI's
`opentelemetry-proto`, the gRPC server is `grpcio`'s. It runs inside the test's process; a crash is
`close_ports`, which cuts connections and keeps what was taken. `refuse` makes it answer as a
collector in trouble does.
"""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import (
    LogsServiceServicer,
    add_LogsServiceServicer_to_server,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from .certificates import Certificates
from .service import HOST, PATIENCE, eventually, free_port

_PATH = "/v1/logs"


@dataclass(frozen=True)
class Taken:
    """A log record, with the resource and the scope that it came under."""

    resource: dict[str, Any]
    scope: str
    record: LogRecord

    @property
    def attributes(self) -> dict[str, Any]:
        """The record's attributes as plain values."""
        return {pair.key: plain(pair.value) for pair in self.record.attributes}

    @property
    def body(self) -> Any:
        """The record's body as a plain value."""
        return plain(self.record.body)


def plain(value: AnyValue) -> Any:
    """An attribute's value without its wrapping."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: plain(pair.value) for pair in value.kvlist_value.values}
    return getattr(value, kind)


class OtlpReceiver:
    """`http` and `grpc` are its endpoints: "http://127.0.0.1:PORT", https with `certificates`."""

    def __init__(self, certificates: Certificates | None = None) -> None:
        self.http_port, self.grpc_port = free_port(), free_port()
        scheme = "https" if certificates else "http"
        self.http = f"{scheme}://{HOST}:{self.http_port}"
        self.grpc = f"{scheme}://{HOST}:{self.grpc_port}"
        self.certificates = certificates
        self.requests: list[dict[str, str]] = []
        """Headers of each request (HTTP) or its metadata (gRPC), in lower case."""
        self._lock = threading.Lock()
        self._taken: list[Taken] = []
        self._refusals: list[int] = []
        self._rejected = 0
        self._http: _HttpServer | None = None
        self._grpc: grpc.Server | None = None

    def __enter__(self) -> OtlpReceiver:
        self.open_ports()
        return self

    def __exit__(self, *of: object) -> None:
        self.close_ports()

    def open_ports(self) -> None:
        """Take requests, on the ports that it has or had."""
        self._http = _HttpServer(self)
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        self._grpc = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        add_LogsServiceServicer_to_server(_Servicer(self), self._grpc)
        address = f"{HOST}:{self.grpc_port}"
        if self.certificates is None:
            self._grpc.add_insecure_port(address)
        else:
            pair = (self.certificates.key.read_bytes(), self.certificates.certificate.read_bytes())
            self._grpc.add_secure_port(address, grpc.ssl_server_credentials([pair]))
        self._grpc.start()

    def close_ports(self) -> None:
        """Cut all connections and listen no more. What was taken stays."""
        if self._http is not None:
            self._http.shutdown()
            self._http.cut()
            self._http.server_close()
            self._http = None
        if self._grpc is not None:
            self._grpc.stop(None).wait()
            self._grpc = None

    def refuse(self, status: int, times: int = 1) -> None:
        """Answer the next requests with this HTTP status (429, 503 ...); to gRPC, UNAVAILABLE."""
        with self._lock:
            self._refusals += [status] * times

    def reject_some(self, count: int) -> None:
        """Say in all further answers that `count` records were rejected (`partial_success`)."""
        self._rejected = count

    def read(self, count: int, patience: float = PATIENCE) -> list[Taken]:
        """All records, once there are `count` of them."""
        eventually(lambda: len(self._taken) >= count, f"{count} log records", patience)
        with self._lock:
            return list(self._taken)

    def answer(
        self, request: ExportLogsServiceRequest, headers: dict[str, str]
    ) -> ExportLogsServiceResponse | int:
        """Take a request: what to answer, or the status to refuse it with."""
        with self._lock:
            self.requests.append(headers)
            if self._refusals:
                return self._refusals.pop(0)
            for of_resource in request.resource_logs:
                resource = {pair.key: plain(pair.value) for pair in of_resource.resource.attributes}
                for of_scope in of_resource.scope_logs:
                    scope = of_scope.scope.name
                    self._taken += [
                        Taken(resource, scope, record) for record in of_scope.log_records
                    ]
        answer = ExportLogsServiceResponse()
        if self._rejected:
            answer.partial_success.rejected_log_records = self._rejected
            answer.partial_success.error_message = "rejected by the test"
        return answer


class _Servicer(LogsServiceServicer):
    def __init__(self, receiver: OtlpReceiver) -> None:
        self._receiver = receiver

    def Export(
        self, request: ExportLogsServiceRequest, context: grpc.ServicerContext
    ) -> ExportLogsServiceResponse:
        metadata = {key: str(value) for key, value in context.invocation_metadata()}
        answer = self._receiver.answer(request, metadata)
        if isinstance(answer, ExportLogsServiceResponse):
            return answer
        context.abort(grpc.StatusCode.UNAVAILABLE, f"status {answer}")
        raise AssertionError("abort raises")


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, receiver: OtlpReceiver) -> None:
        self.receiver = receiver
        self._connections: set[socket.socket] = set()
        super().__init__((HOST, receiver.http_port), _Handler)
        if receiver.certificates is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(receiver.certificates.certificate, receiver.certificates.key)
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def cut(self) -> None:
        """Cut the connections of those who are served."""
        for connection in list(self._connections):
            super().shutdown_request(connection)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _HttpServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self.path != _PATH or headers.get("content-type") != "application/x-protobuf":
            self._send(400, b"")
            return
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        request = ExportLogsServiceRequest.FromString(body)
        answer = self.server.receiver.answer(request, headers)
        if isinstance(answer, int):
            self._send(answer, b"")
        else:
            self._send(200, answer.SerializeToString())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *of: Any) -> None:
        """Say nothing on the standard error."""
