"""The keys of a sink of the type `notification`."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from pydantic import Field, model_validator

from ryu_droplog.plugins.extras import check_installed
from ryu_droplog.plugins.sink_options import Encoding
from ryu_droplog.schema.expected import Expected
from ryu_droplog.schema.fields import TIME, Directory, checked_by
from ryu_droplog.schema.units import Duration
from ryu_droplog.sinks.forwarding_options import DeliveryOptions
from ryu_droplog.sinks.secrets import PasswordOptions, Secret, read_secret
from ryu_droplog.sinks.tls import TlsOptions

SCHEMES = ("rabbit", "kafka")
_FORM = "rabbit://USER@HOST:PORT/VHOST or kafka://HOST:PORT/, several hosts with commas between"
_NAME = r"^[A-Za-z0-9._-]+$"
# What the drivers call the parts of `tls`.
_RABBIT_TLS = {"ca": "ssl_ca_file", "certificate": "ssl_cert_file", "key": "ssl_key_file"}
_KAFKA_TLS = {
    "ca": "ssl_cafile",
    "certificate": "ssl_client_cert_file",
    "key": "ssl_client_key_file",
}


def _check_url(text: str) -> None:
    try:
        url = urlsplit(text)
    except ValueError:
        raise ValueError(_FORM) from None
    hosts = url.netloc.split(",")
    if url.scheme not in SCHEMES or not text.isprintable() or not all(hosts):
        raise ValueError(_FORM)
    if any(":" in host.rpartition("@")[0] for host in hosts) or "password" in url.query:
        raise ValueError("a URL without a password: password_file, password_env or url_file")


class NotificationOptions(DeliveryOptions, PasswordOptions):
    """The keys of such a sink."""

    transport_url: Annotated[str, checked_by(_check_url)] | None = Field(
        default=None,
        description="where the bus is, as oslo.messaging has it, without a password:"
        " `rabbit://USER@HOST:PORT/VHOST` or `kafka://HOST:PORT/`",
        examples=["rabbit://ryu-droplog@127.0.0.1:5672/"],
    )
    url_file: Directory | None = Field(
        default=None, description="a file with the whole URL, a password in it or not"
    )
    topic: Annotated[
        str,
        Field(pattern=_NAME, max_length=200),
        Expected("1 to 200 letters, digits and ._-"),
    ] = Field(
        default="notifications",
        description="the topic of the bus; `.warn` follows it in the name of queue or topic",
    )
    publisher_id: (
        Annotated[
            str,
            Field(pattern=r"^[!-~]+$", max_length=255),
            Expected("1 to 255 printable ASCII characters without spaces"),
        ]
        | None
    ) = Field(default=None, description="who sends; null: `ryu_droplog.` and the node's name")
    window: Annotated[float, Duration("1s", "1h"), TIME] = Field(
        default=10.0, description="how long drops are gathered for one message", examples=["10s"]
    )
    signatures: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=50,
        description="how many signatures a message lists, those with the most packets; the others"
        " are counted together",
    )
    encode: Encoding = Field(
        default="native",
        description="how one drop of each signature is written in the message: the name of an"
        " encoding",
    )
    tls: TlsOptions | None = Field(
        default=None,
        description="whom to trust, and who we are; null: TLS only as the URL asks for it",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> NotificationOptions:
        if (self.transport_url is None) == (self.url_file is None):
            raise ValueError("either transport_url or url_file")
        if self.url_file is not None and (self.password_file or self.password_env):
            raise ValueError("no password beside url_file, which has it")
        if self.tls is not None and not self.tls.verify:
            raise ValueError("tls.verify: true, for oslo.messaging has nothing else")
        check_installed("oslo_messaging", "oslo.messaging", "notification")
        return self

    def url(self) -> Secret:
        """The whole URL, its password and the parts of `tls` in it, read now.

        Raises as `read_secret`.
        """
        told = self.transport_url or ""
        if self.url_file is not None:
            secret = read_secret("url", self.url_file, None)
            assert secret is not None
            told = secret.reveal()
        password = self.password()
        return Secret(_with_tls(_with_password(told, password), self.tls))


def _with_password(url: str, password: Secret | None) -> str:
    if password is None:
        return url
    parts = urlsplit(url)
    hosts = []
    for host in parts.netloc.split(","):
        user, at, where = host.rpartition("@")
        told = f"{user}:{quote(password.reveal(), safe='')}"
        hosts.append(f"{told}{at}{where}" if at else host)
    return urlunsplit(parts._replace(netloc=",".join(hosts)))


def _with_tls(url: str, tls: TlsOptions | None) -> str:
    if tls is None:
        return url
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    if parts.scheme == "kafka":
        query["security_protocol"] = "SASL_SSL" if "@" in parts.netloc else "SSL"
        names = _KAFKA_TLS
    else:
        query["ssl"] = "true"
        names = _RABBIT_TLS
    ca = tls.ca or _system_authorities()
    values = {"ca": ca, "certificate": tls.certificate, "key": tls.key or tls.certificate}
    query |= {names[key]: value for key, value in values.items() if value}
    return urlunsplit(parts._replace(query=urlencode(query)))


def _system_authorities() -> str | None:
    """The system's own: without any, the driver for RabbitMQ would verify nothing."""
    import ssl

    return ssl.get_default_verify_paths().cafile
