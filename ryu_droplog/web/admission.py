"""Where the page may listen, and who is let in. Pure.

A browser sends what it knows of a site to whoever says he is that site: so a page on loopback is
read by a foreign one whose name is made to point to 127.0.0.1 (DNS rebinding), unless the Host
header is checked. OWASP, "Server-Side Request Forgery Prevention"; Fetch Metadata (W3C) for
requests that other sites make a browser send.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from ryu_droplog.model.errors import ConfigError
from ryu_droplog.text.printable import printable

DEFAULT = "127.0.0.1:9111"
TOKEN = 16
"""Characters of a token at least: so long a one is not guessed."""
LOCALHOST = "localhost"


class Address(NamedTuple):
    """Where the page listens."""

    host: str
    """An IP address."""
    port: int
    """0: one that is free."""

    @property
    def is_loopback(self) -> bool:
        """Whether only this host reaches it."""
        return ip_address(self.host).is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Tls(NamedTuple):
    """Files for TLS."""

    certificate: str
    key: str
    client_ca: str | None
    """Whose certificates browsers must have; None: they need none."""


def read_address(text: str) -> Address:
    """`ADDRESS:PORT`; raises ConfigError."""
    host, colon, port = text.rpartition(":")
    expected = f'--listen: got "{printable(text)}"; expected ADDRESS:PORT such as {DEFAULT}'
    if not (colon and port.isascii() and port.isdigit() and int(port[:6]) <= 0xFFFF):
        raise ConfigError(expected)
    host = host.removeprefix("[").removesuffix("]")
    try:
        address = ip_address("127.0.0.1" if host == LOCALHOST else host)
    except ValueError:
        raise ConfigError(expected) from None
    return Address(str(address), int(port))


def check(address: Address, token: str | None, tls: Tls | None) -> None:
    """Raises ConfigError where strangers could look at the page."""
    if token is not None and len(token) < TOKEN:
        raise ConfigError(f"the token has {len(token)} characters; expected at least {TOKEN}")
    if address.is_loopback or token is not None or (tls is not None and tls.client_ca is not None):
        return
    raise ConfigError(
        f"--listen: {address} can be reached from other hosts; expected a loopback address such as"
        f" {DEFAULT}, or --token-file, or --tls-certificate, --tls-key and --client-ca"
    )


class Hosts:
    """The names under which the page is asked for."""

    def __init__(self, address: Address, names: Sequence[str] = ()) -> None:
        """`names` are further ones that the user gives."""
        self._address = ip_address(address.host)
        self._names = {LOCALHOST, *(name.lower().rstrip(".") for name in names)}

    def allow(self, header: str) -> bool:
        """Whether a Host header is one of them, whatever its port, as a tunnel may change it."""
        host = _host_of(header)
        try:
            asked: IPv4Address | IPv6Address = ip_address(host)
        except ValueError:
            return host.lower().rstrip(".") in self._names
        if asked == self._address or (asked.is_loopback and self._address.is_loopback):
            return True
        return host in self._names or self._address.is_unspecified


def _host_of(header: str) -> str:
    """Without the port; empty where the header is none."""
    if header.startswith("["):
        host, bracket, rest = header[1:].partition("]")
        return host if bracket and (not rest or _is_port(rest)) else ""
    host, colon, port = header.partition(":")
    return host if not colon or _is_port(f":{port}") else ""


def _is_port(text: str) -> bool:
    return text[1:].isascii() and text[1:].isdigit() and text[0] == ":"


class Tokens:
    """Who knows the token, or logged in with it."""

    def __init__(self, token: str, port: int) -> None:
        """`port` tells the cookies of several pages on a host apart."""
        self._token = token.encode()
        self._session = secrets.token_urlsafe(32)
        self.cookie = f"ryu_droplog_{port}"

    def is_token(self, text: str) -> bool:
        """Compared in a time that says nothing of how much is right."""
        return hmac.compare_digest(text.encode("utf-8", "surrogateescape"), self._token)

    @property
    def session(self) -> str:
        """Value of the cookie, until this process ends. It is not the token."""
        return self._session

    def admits(self, authorization: str, cookies: str) -> bool:
        """Whether a request with these headers is let in."""
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() == "bearer" and self.is_token(text.strip()):
            return True
        for pair in cookies.split(";"):
            name, _, value = pair.strip().partition("=")
            if name == self.cookie and hmac.compare_digest(
                value.encode("utf-8", "surrogateescape"), self._session.encode()
            ):
                return True
        return False
