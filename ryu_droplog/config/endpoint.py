"""Where a bridge is reached: the text of the configuration, parsed once into small types."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from typing import TypeAlias

from ryu_droplog.schema.socket_path import check_socket_path

_HOST_PORT = re.compile(r"(?:\[(?P<ipv6>[^]]*)\]|(?P<host>[^:]*)):(?P<port>[0-9]{1,5})", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")  # RFC 1123 section 2.1


@dataclass(frozen=True, slots=True)
class UnixEndpoint:
    """A Unix stream socket to connect to."""

    path: str
    """Absolute, at most 107 bytes."""

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class TcpEndpoint:
    """A TCP port to connect to, or to listen on."""

    host: str
    """IPv4 or IPv6 address without brackets, or (only to connect to) a host name."""
    port: int
    """1 to 65535."""

    def __str__(self) -> str:
        return f"tcp:{_host_port(self.host, self.port)}"


@dataclass(frozen=True, slots=True)
class UdpEndpoint:
    """A UDP port to receive on."""

    host: str
    """IPv4 or IPv6 address without brackets."""
    port: int
    """1 to 65535."""

    def __str__(self) -> str:
        return _host_port(self.host, self.port)


@dataclass(frozen=True, slots=True)
class Accepted:
    """No place to connect to: the switch connects to the address that the program listens on."""

    def __str__(self) -> str:
        return "listen"


@dataclass(frozen=True, slots=True)
class ServiceEndpoint:
    """A Controller row of type=service has the switch connect to a loopback port of ours."""

    management: UnixEndpoint
    """The bridge's management socket, for while the row is gone."""
    database: str
    """Path of ovsdb-server's socket."""

    def __str__(self) -> str:
        return f"service, by a Controller row in unix:{self.database}"


Endpoint: TypeAlias = UnixEndpoint | TcpEndpoint | Accepted | ServiceEndpoint


def _host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_connect(text: str) -> Endpoint:
    """`unix:/absolute/path`, `tcp:HOST:PORT` (an IPv6 address in brackets) or `listen`.

    Raises ValueError, whose text says what was expected.
    """
    if text == "listen":
        return Accepted()
    scheme, _, rest = text.partition(":")
    if scheme == "unix":
        return unix(rest)
    if scheme == "tcp":
        return _tcp(rest, names=True)
    raise ValueError('"unix:/absolute/path", "tcp:HOST:PORT", "service" or "listen"')


def parse_bridge_endpoint(text: str) -> Endpoint | None:
    """As `parse_connect`; None for `service`, which stands for what only the bridge can tell."""
    return None if text == "service" else parse_connect(text)


def parse_listen(value: int | str) -> TcpEndpoint:
    """`ADDRESS:PORT` (an IPv6 address in brackets), or a port alone, on 127.0.0.1.

    Raises ValueError, whose text says what was expected.
    """
    text = str(value) if isinstance(value, str) or 0 <= value <= 65535 else ""
    return _tcp(text if ":" in text else f"127.0.0.1:{text}", names=False)


def parse_receive(value: int | str) -> UdpEndpoint:
    """As `parse_listen`, for datagrams."""
    found = parse_listen(value)
    return UdpEndpoint(found.host, found.port)


def unix(path: str) -> UnixEndpoint:
    """The Unix socket at `path`.

    Raises ValueError, whose text says what was expected.
    """
    check_socket_path(path)
    return UnixEndpoint(path)


def _tcp(text: str, *, names: bool) -> TcpEndpoint:
    """`text` is HOST:PORT; with `names`, HOST may be a host name."""
    match = _HOST_PORT.fullmatch(text)
    form = "tcp:HOST:PORT" if names else "ADDRESS:PORT or a port"
    if match is None or not 1 <= int(match["port"]) <= 65535:
        raise ValueError(f"{form} with an IPv6 address in brackets and a port from 1 to 65535")
    port = int(match["port"])
    if match["ipv6"] is not None:
        return TcpEndpoint(_address(ipaddress.IPv6Address, match["ipv6"], "an IPv6 address"), port)
    labels = match["host"].split(".")
    if not names or labels[-1].isdigit():
        return TcpEndpoint(_address(ipaddress.IPv4Address, match["host"], "an IPv4 address"), port)
    if len(match["host"]) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("a host name or an address")
    return TcpEndpoint(match["host"], port)


def _address(
    kind: type[ipaddress.IPv4Address] | type[ipaddress.IPv6Address], text: str, expected: str
) -> str:
    try:
        return str(kind(text))
    except ValueError:
        raise ValueError(expected) from None


def visited(endpoint: Endpoint) -> UnixEndpoint | TcpEndpoint | Accepted:
    """Where a bridge is visited: with `connect: service`, at its management socket."""
    return endpoint.management if isinstance(endpoint, ServiceEndpoint) else endpoint


def rundir_of(endpoint: Endpoint) -> str:
    """The run directory of Open vSwitch; empty where the bridge is not on this host."""
    endpoint = visited(endpoint)
    return os.path.dirname(endpoint.path) if isinstance(endpoint, UnixEndpoint) else ""
