"""OTLP over gRPC: a request a call, by PyPI's `grpcio`."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from ryu_droplog.model.errors import ConfigError, why
from ryu_droplog.sinks.otlp_options import OtlpOptions
from ryu_droplog.sinks.otlp_response import check_grpc, check_partial

METHOD = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
_DETAILS = "grpc-status-details-bin"
_CHANNEL = (
    ("grpc.enable_retries", 0),  # what is sent again is counted, so it is done here
    ("grpc.max_send_message_length", -1),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)


class GrpcExporter:
    """A channel to the receiver, for one thread; calls block it without a thread of gRPC's."""

    def __init__(self, options: OtlpOptions) -> None:
        self._options = options
        self._channel: Any = None
        self._call: Any = None
        self._metadata: tuple[tuple[str, str], ...] = ()

    def export(self, request: bytes) -> str:
        """Send a serialised request; returns what the receiver warns of, if anything.

        Raises as `check_grpc` and `check_partial`, and ConfigError for files that cannot be read.
        """
        if self._call is None:
            self._connect()
        try:
            response = self._call(request, timeout=self._options.timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            self.close()  # its files are read again at the next connection
            failed: Any = error
            metadata = dict(failed.trailing_metadata() or ())
            check_grpc(failed.code().name, failed.details() or "", metadata.get(_DETAILS, b""))
            raise AssertionError("a failed call has a status") from error
        return check_partial(response)

    def close(self) -> None:
        """Let go of the channel; the next request makes a new one."""
        if self._channel is not None:
            self._channel.close()
        self._channel = self._call = None

    def _connect(self) -> None:
        options = self._options
        where = options.where
        self._metadata = tuple(options.all_headers().items())
        host = f"[{where.host}]" if ":" in where.host else where.host
        address = f"{host}:{where.port}"
        compression = (
            grpc.Compression.Gzip
            if options.compression == "gzip"
            else grpc.Compression.NoCompression
        )
        if where.is_tls:
            self._channel = grpc.secure_channel(
                address, self._credentials(), options=_CHANNEL, compression=compression
            )
        else:
            self._channel = grpc.insecure_channel(
                address, options=_CHANNEL, compression=compression
            )
        self._call = self._channel.unary_unary(
            METHOD, response_deserializer=ExportLogsServiceResponse.FromString
        )

    def _credentials(self) -> Any:
        tls = self._options.tls
        ca = tls.ca or ssl.get_default_verify_paths().cafile
        key = tls.key or tls.certificate
        return grpc.ssl_channel_credentials(
            _read("tls.ca", ca), _read("tls.key", key), _read("tls.certificate", tls.certificate)
        )


def _read(key: str, path: str | None) -> bytes | None:
    if path is None:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{key}: {path}: {why(error)}") from error
