"""The keys of a sink of the type `otlp`."""

from __future__ import annotations

import re
from typing import Annotated, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from ryu_droplog.config.endpoint import parse_connect
from ryu_droplog.model.errors import ConfigError
from ryu_droplog.plugins.extras import check_installed
from ryu_droplog.plugins.sink_options import Encoding
from ryu_droplog.schema.expected import Expected
from ryu_droplog.schema.fields import TIME, Directory, checked_by
from ryu_droplog.schema.units import Duration
from ryu_droplog.sinks.forwarding_options import DeliveryOptions
from ryu_droplog.sinks.secrets import Variable, read_secret
from ryu_droplog.sinks.tls import TlsOptions

PATH = "/v1/logs"
Protocol = Literal["http/protobuf", "grpc"]
_SCHEMES: dict[str, tuple[Protocol | None, bool]] = {
    "http": (None, False),
    "https": (None, True),
    "grpc": ("grpc", False),
    "grpcs": ("grpc", True),
}
"""Which protocol a scheme stands for, if it says so, and whether it is with TLS."""
_PORTS: dict[Protocol, int] = {"http/protobuf": 4318, "grpc": 4317}
_NEEDED = {
    "opentelemetry.proto.logs": "opentelemetry-proto",
    "google.rpc": "googleapis-common-protos",
    "grpc": "grpcio",
}
"""Modules of the extra, and what brings them."""
_FORM = "http://HOST:PORT, https://, grpc:// or grpcs://, an IPv6 address in brackets"
_SECRET_NAME = re.compile("authorization|api-?key|token|secret|password|cookie")


class Endpoint(NamedTuple):
    """Where an endpoint is."""

    host: str
    port: int
    is_tls: bool
    path: str
    protocol: Protocol


def parse_endpoint(text: str, protocol: Protocol | None = None) -> Endpoint:
    """What a URL says; `protocol` is what is configured beside it.

    The path of the logs is added, as the specification says, unless it is there. Raises ValueError,
    whose text says what was expected.
    """
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        raise ValueError(_FORM) from None
    if url.scheme not in _SCHEMES or not host or not text.isascii() or not text.isprintable():
        raise ValueError(_FORM)
    if url.username is not None or url.query or url.fragment:
        raise ValueError(f"{_FORM}, without a user, ? and #; a password is in headers_file")
    said, is_tls = _SCHEMES[url.scheme]
    if said is not None and protocol not in (None, said):
        raise ValueError(f"http:// or https:// where protocol is {protocol}")
    spoken = said or protocol or "http/protobuf"
    path = url.path.rstrip("/")
    if spoken == "grpc" and path:
        raise ValueError("no path: gRPC has none")
    port = _PORTS[spoken] if port is None else port
    parse_connect(f"tcp:[{host}]:{port}" if ":" in host else f"tcp:{host}:{port}")
    return Endpoint(host, port, is_tls, path if path.endswith(PATH) else path + PATH, spoken)


def _check_endpoint(text: str) -> None:
    parse_endpoint(text)


_HEADER = Expected("a mapping of names of headers", key="name of a header")
_Name = Annotated[str, Field(pattern="^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", max_length=255)]
_Text = Annotated[str, Field(pattern="^[ -~]*$", max_length=4096)]
_AttributeName = Annotated[str, Field(pattern="^[!-~]+$", max_length=255)]
_Value = Annotated[str, Field(max_length=1024)]


class OtlpOptions(DeliveryOptions):
    """The keys of such a sink."""

    endpoint: Annotated[str, checked_by(_check_endpoint), Expected(_FORM)] = Field(
        description="where the receiver is: `http://HOST:4318`, `https://`, `grpc://HOST:4317` or"
        " `grpcs://`; over HTTP `/v1/logs` is added unless it is there",
        examples=["http://127.0.0.1:4318"],
    )
    protocol: Protocol | None = Field(
        default=None,
        description="`http/protobuf` or `grpc`; null: as the scheme of `endpoint` says",
    )
    encode: Encoding = Field(
        default="opflex", description="what the body of a log record is: the name of an encoding"
    )
    tls: TlsOptions = Field(
        default=TlsOptions(),
        description="of `https://` and `grpcs://`: whom to trust, and who we are",
    )
    compression: Literal["gzip", "none"] = Field(
        default="gzip", description="how requests are compressed"
    )
    timeout: Annotated[float, Duration("1s", "5m"), TIME] = Field(
        default=10.0, description="how long an answer may take", examples=["10s"]
    )
    headers: Annotated[dict[_Name, _Text], _HEADER] = Field(
        default={},
        description="headers of each request, of gRPC its metadata",
        examples=[{"X-Scope-OrgID": "fabric"}],
    )
    headers_file: Annotated[dict[_Name, Directory], _HEADER] = Field(
        default={},
        description="headers whose values are in files, which are read at each connection",
        examples=[{"Authorization": "/etc/ryu-droplog/otlp-token"}],
    )
    headers_env: Annotated[dict[_Name, Variable], _HEADER] = Field(
        default={}, description="headers whose values are in variables of the environment"
    )
    resource: Annotated[
        dict[_AttributeName, _Value],
        Expected("a mapping of attributes to strings", key="name of an attribute"),
    ] = Field(
        default={},
        description="attributes of the resource beside `service.name`, `service.version` and"
        " `host.name`",
        examples=[{"k8s.cluster.name": "east"}],
    )

    @model_validator(mode="after")
    def _fits_together(self) -> OtlpOptions:
        where = parse_endpoint(self.endpoint, self.protocol)
        for module, package in _NEEDED.items():
            if module != "grpc" or where.protocol == "grpc":
                check_installed(module, package, "otlp")
        if where.protocol == "grpc" and not self.tls.verify:
            raise ValueError("tls.verify: true, for gRPC has nothing else")
        for name in self.headers:
            if _SECRET_NAME.search(name.lower()):
                raise ValueError(f"headers_file or headers_env for {name}, which is a secret")
        names = [name.lower() for name in (*self.headers, *self.headers_file, *self.headers_env)]
        if len(names) != len(set(names)):
            raise ValueError("each header once")
        return self

    @property
    def where(self) -> Endpoint:
        """What `endpoint` and `protocol` say."""
        return parse_endpoint(self.endpoint, self.protocol)

    def all_headers(self) -> dict[str, str]:
        """Headers in lower case with their values, read now.

        Raises ConfigError, which does not show them.
        """
        told = {name.lower(): value for name, value in self.headers.items()}
        for name in (*self.headers_file, *self.headers_env):
            file, variable = self.headers_file.get(name), self.headers_env.get(name)
            secret = read_secret(f"header {name}", file, variable)
            if secret is None:
                continue
            value = secret.reveal()
            if not (value.isascii() and value.isprintable()):
                where = file or variable
                raise ConfigError(f"header {name}: {where}: expected one line of printable ASCII")
            told[name.lower()] = value
        return told
