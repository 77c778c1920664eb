"""The keys of a sink of the type `syslog`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, model_validator

from ryu_droplog.plugins.sink_options import Encoding, OptionsContext
from ryu_droplog.schema.expected import Expected, alternatives
from ryu_droplog.schema.fields import checked_by
from ryu_droplog.schema.units import Number
from ryu_droplog.sinks.forwarding_options import ForwardingOptions
from ryu_droplog.sinks.receiver_address import ReceiverAddress, parse_address
from ryu_droplog.sinks.syslog_facilities import FACILITIES, LONGEST, SMALLEST
from ryu_droplog.sinks.tls import TlsOptions

SOCKET = "/dev/log"
LINES = ("opflex", "extended", "json")
"""Encodings that the local form takes."""
_SCHEMES = ("unix", "udp", "tcp", "tls")


def _check_address(text: str) -> None:
    parse_address(text, _SCHEMES)


def _check_facility(name: str) -> None:
    if name not in FACILITIES:
        raise ValueError(alternatives(FACILITIES))


def _is_rfc3164(form: object, to: object) -> bool:
    """Whether it is the form of RFC 3164: that is the default for a socket of this machine."""
    return form == "rfc3164" or (form is None and str(to).startswith("unix:"))


class SyslogOptions(ForwardingOptions):
    """The keys of such a sink."""

    to: Annotated[str, checked_by(_check_address)] = Field(
        default=f"unix:{SOCKET}",
        description="where messages are taken: `unix:/absolute/path`, `udp:HOST:PORT`,"
        " `tcp:HOST:PORT` (octet-counted, RFC 6587) or `tls:HOST:PORT` (RFC 5425)",
        examples=["tcp:127.0.0.1:6514"],
    )
    format: Literal["rfc3164", "rfc5424"] | None = Field(
        default=None,
        description="`rfc3164`: lines for the local daemon; `rfc5424`: with structured data; null:"
        " `rfc3164` where `to` begins with `unix:`, else `rfc5424`",
    )
    encode: Encoding = Field(
        default="opflex",
        description="what stands in the message: the name of an encoding; by default `ecs`, of"
        " `rfc3164` what the key `format` of the file says",
    )
    facility: Annotated[str, checked_by(_check_facility), Expected(alternatives(FACILITIES))] = (
        Field(default="daemon", description="the facility, of `rfc5424`", examples=["local0"])
    )
    message_bytes: Annotated[int, Number(SMALLEST, LONGEST)] = Field(
        default=8192,
        description="how long a message of `rfc5424` is at most; what is longer is cut, and says"
        " so. The receiver must take as many",
        examples=["64K"],
    )
    tls: TlsOptions | None = Field(
        default=None, description="of `tls:`: whom to trust, and who we are; null: the system's own"
    )

    @model_validator(mode="before")
    @classmethod
    def _encode_as_the_format_says(cls, data: Any, info: ValidationInfo) -> Any:
        if not isinstance(data, dict) or "encode" in data:
            return data
        encode = "ecs"
        if _is_rfc3164(data.get("format"), data.get("to", f"unix:{SOCKET}")):
            context = info.context
            encode = context.format if isinstance(context, OptionsContext) else "opflex"
        return {**data, "encode": encode}

    @model_validator(mode="after")
    def _fits_together(self) -> SyslogOptions:
        scheme = self.address.scheme
        if self.is_rfc3164 and scheme != "unix":
            raise ValueError(f"format: rfc5424 beside to: {scheme}:HOST:PORT")
        if self.is_rfc3164 and self.encode not in LINES:
            raise ValueError(f"format: rfc5424, or encode: {alternatives(LINES)}")
        if self.tls is not None and scheme != "tls":
            raise ValueError("to: tls:HOST:PORT beside tls")
        return self

    @property
    def address(self) -> ReceiverAddress:
        """What `to` says."""
        return parse_address(self.to, _SCHEMES)

    @property
    def is_rfc3164(self) -> bool:
        """Whether messages have the form of RFC 3164."""
        return _is_rfc3164(self.format, self.to)
