"""The keys of a sink of the type `otlp`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ryu_droplog.config.loader import load
from ryu_droplog.model.errors import ConfigError
from ryu_droplog.plugins import extras
from ryu_droplog.sinks.otlp_options import Endpoint, OtlpOptions, parse_endpoint


@pytest.mark.parametrize(
    ("text", "protocol", "expected"),
    [
        ("http://h:1", None, Endpoint("h", 1, False, "/v1/logs", "http/protobuf")),
        ("http://h", None, Endpoint("h", 4318, False, "/v1/logs", "http/protobuf")),
        ("https://h/a/", None, Endpoint("h", 4318, True, "/a/v1/logs", "http/protobuf")),
        ("https://h/v1/logs", None, Endpoint("h", 4318, True, "/v1/logs", "http/protobuf")),
        ("http://[::1]:1", None, Endpoint("::1", 1, False, "/v1/logs", "http/protobuf")),
        ("grpc://h", None, Endpoint("h", 4317, False, "/v1/logs", "grpc")),
        ("grpcs://10.0.0.1:1", None, Endpoint("10.0.0.1", 1, True, "/v1/logs", "grpc")),
        ("https://h:1", "grpc", Endpoint("h", 1, True, "/v1/logs", "grpc")),
    ],
)
def test_endpoint_says_where(text: str, protocol: Any, expected: Endpoint) -> None:
    assert expected == parse_endpoint(text, protocol)


@pytest.mark.parametrize(
    ("text", "protocol"),
    [
        ("h:1", None),
        ("ftp://h", None),
        ("http://", None),
        ("http://h:x", None),
        ("http://h:70000", None),
        ("http://[::1", None),
        ("http://me:secret@h", None),
        ("http://h?a=b", None),
        ("http://h#a", None),
        ("http://h\n", None),
        ("http://10.0.0.300", None),
        ("grpc://h/a", None),
        ("grpc://h", "http/protobuf"),
    ],
)
def test_endpoint_that_is_none_is_refused(text: str, protocol: Any) -> None:
    with pytest.raises(ValueError, match=r"http://|address|port|path|host"):
        parse_endpoint(text, protocol)


def test_headers_are_read_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("Bearer a\n")
    monkeypatch.setenv("KEY", "b")
    options = OtlpOptions(
        endpoint="http://h",
        headers={"X-Scope-OrgID": "fabric"},
        headers_file={"Authorization": str(tmp_path / "token")},
        headers_env={"X-API-Key": "KEY"},
    )
    assert options.all_headers() == {
        "x-scope-orgid": "fabric",
        "authorization": "Bearer a",
        "x-api-key": "b",
    }
    assert "Bearer" not in repr(options)


@pytest.mark.parametrize("content", ["", "a\nX-Other: b", "a\rb"])
def test_secret_that_is_no_header_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "token").write_bytes(content.encode())
    options = OtlpOptions(endpoint="http://h", headers_file={"a": str(tmp_path / "token")})
    with pytest.raises(ConfigError, match=r"^header a") as error:
        options.all_headers()
    assert "X-Other" not in str(error.value)


@pytest.mark.parametrize(
    "keys",
    [
        {"headers": {"Authorization": "Bearer a"}},
        {"headers": {"x-api-key": "a"}},
        {"headers": {"a b": "c"}},
        {"headers": {"a": "b\r\nc"}},
        {"headers": {"a": "b"}, "headers_env": {"A": "KEY"}},
        {"endpoint": "grpcs://h", "tls": {"verify": False}},
        {"endpoint": "grpc://h", "protocol": "http/protobuf"},
        {"spool": {"directory": "/a"}},
        {"encode": "xml"},
        {"timeout": 0.1},
        {"compression": "zstd"},
    ],
)
def test_keys_that_do_not_fit_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OtlpOptions.model_validate({"endpoint": "http://h", **keys})


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("endpoint: ftp://h", 'sinks[0].endpoint: got "ftp://h"; expected http://HOST:PORT'),
        ("endpoint: http://h, headers: {Authorization: Bearer a}", "headers_file or headers_env"),
        ("endpoint: http://h, spool: {directory: /a}", "delivery: at_least_once beside spool"),
    ],
)
def test_file_is_told_what_is_wrong(tmp_path: Path, keys: str, message: str) -> None:
    file = tmp_path / "droplog.yaml"
    file.write_text(f"sinks: [{{name: a, type: otlp, {keys}}}]\n")
    with pytest.raises(ConfigError) as error:
        load(str(file))
    assert message in str(error.value)
    assert "Bearer" not in str(error.value)


@pytest.mark.parametrize(
    ("missing", "keys", "package"),
    [
        ("opentelemetry.proto.logs", "endpoint: http://h", "opentelemetry-proto"),
        ("google.rpc", "endpoint: http://h", "googleapis-common-protos"),
        ("grpc", "endpoint: grpc://h", "grpcio"),
    ],
)
def test_extra_that_is_missing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str, keys: str, package: str
) -> None:
    def look(module: str) -> object:
        """As `find_spec` does where this one is not installed."""
        if module == missing:
            raise ModuleNotFoundError(module)
        return module

    monkeypatch.setattr(extras, "find_spec", look)
    file = tmp_path / "droplog.yaml"
    file.write_text(f"sinks: [{{name: a, type: otlp, {keys}}}]\n")
    expected = rf"the package {package}: pip install 'ryu-droplog\[otlp\]'"
    with pytest.raises(ConfigError, match=expected):
        load(str(file))


def test_grpc_is_only_needed_for_grpc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda module: None if module == "grpc" else module)
    assert OtlpOptions(endpoint="http://h").where.protocol == "http/protobuf"
