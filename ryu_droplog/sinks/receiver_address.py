"""Where a receiver is: `tcp:HOST:PORT`, `udp:HOST:PORT`, `tls:HOST:PORT`, `unix:/absolute/path`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ryu_droplog.config.endpoint import TcpEndpoint, parse_connect
from ryu_droplog.schema.socket_path import check_socket_path


class ReceiverAddress(NamedTuple):
    """An address, taken apart."""

    scheme: str
    """`tcp`, `udp`, `tls` or `unix`."""
    host: str = ""
    """A name, or an address without brackets."""
    port: int = 0
    path: str = ""
    """Of a Unix socket."""

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}:{host}:{self.port}"


def parse_address(text: str, schemes: tuple[str, ...]) -> ReceiverAddress:
    """The address in a text, of one of these schemes.

    Raises ValueError, whose text says what was expected.
    """
    scheme, _, rest = text.partition(":")
    if scheme not in schemes:
        forms = [f'"{each}:{_FORMS.get(each, "HOST:PORT")}"' for each in schemes]
        raise ValueError(" or ".join(filter(None, (", ".join(forms[:-1]), forms[-1]))))
    if scheme == "unix":
        check_socket_path(rest)
        return ReceiverAddress(scheme, path=rest)
    try:
        endpoint = parse_connect(f"tcp:{rest}")
    except ValueError as error:
        raise ValueError(str(error).replace("tcp:", f"{scheme}:")) from None
    assert isinstance(endpoint, TcpEndpoint)
    return ReceiverAddress(scheme, endpoint.host, endpoint.port)


_FORMS = {"unix": "/absolute/path"}


def address_check(*schemes: str) -> Callable[[str], object]:
    """For `schema.fields.checked_by`: refuses what is no address of one of these schemes."""
    return lambda text: parse_address(text, schemes)
