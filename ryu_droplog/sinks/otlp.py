"""Drops as log records of OpenTelemetry, by its protocol (OTLP) over HTTP or gRPC."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.model.drop import Drop
from ryu_droplog.model.errors import ConfigError
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.delivery import Chunk
from ryu_droplog.sinks.forwarding import ForwardingSink
from ryu_droplog.sinks.otlp_options import OtlpOptions


class Exporter(Protocol):
    """A way to send requests."""

    def export(self, request: bytes) -> str:
        """Send a serialised ExportLogsServiceRequest; returns a warning, if there is any."""

    def close(self) -> None:
        """Let go of the connection."""


class Otlp(ForwardingSink):
    """OpenTelemetry logs to an OTLP receiver, the OpenTelemetry Collector say."""

    Options = OtlpOptions

    def __init__(self, spec: SinkSpec, context: SinkContext) -> None:
        """Raises ConfigError where the packages of the extra are missing."""
        super().__init__(spec, context)
        options: OtlpOptions = spec.options
        try:
            from ryu_droplog.sinks import otlp_message

            self._exporter = _exporter(options, lambda: self.gives_up)
        except ImportError as error:
            wrong = f"{self.name}: {error}; expected pip install 'ryu-droplog[otlp]'"
            raise ConfigError(wrong) from error
        self._request = otlp_message.request
        self._resource = otlp_message.resource(context.node, options.resource)
        told = context.encoder_context(options.payload, "bare")
        body = context.encoder(options.encode, options.payload, "bare")
        self._record = otlp_message.LogRecords(told, body).record
        self._warned = ""

    def encode(self, drop: Drop) -> bytes:
        return self._record(drop)

    @property
    def acknowledged(self) -> bool:
        return True

    def send(self, chunk: Chunk) -> None:
        warning = self._exporter.export(self.request(chunk))
        if warning != self._warned:
            self._warned = warning
            if warning:
                self.notices.append(f"{self.name}: the receiver warns: {warning}")

    def request(self, chunk: Chunk) -> bytes:
        """The ExportLogsServiceRequest of a chunk, serialised."""
        return self._request(self._resource, chunk.items)

    def disconnect(self) -> None:
        self._exporter.close()


def _exporter(options: OtlpOptions, gives_up: Callable[[], bool]) -> Exporter:
    if options.where.protocol == "grpc":
        from ryu_droplog.sinks.otlp_grpc import GrpcExporter

        return GrpcExporter(options)
    from ryu_droplog.sinks.otlp_http import HttpExporter

    return HttpExporter(options, gives_up)
