"""The keys of a sink of the type `kafka`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ryu_droplog.config.endpoint import parse_connect
from ryu_droplog.plugins.extras import check_installed
from ryu_droplog.schema.expected import Expected
from ryu_droplog.schema.fields import TIME, checked_by
from ryu_droplog.schema.units import Duration
from ryu_droplog.sinks.forwarding_options import DeliveryOptions
from ryu_droplog.sinks.secrets import PasswordOptions
from ryu_droplog.sinks.tls import TlsOptions


def _check_broker(text: str) -> None:
    if text.startswith(("unix:", "tcp:")):
        raise ValueError("HOST:PORT")
    parse_connect(f"tcp:{text}")


def _check_topic(name: str) -> None:
    if name in (".", ".."):
        raise ValueError(_TOPIC)


_TOPIC = "1 to 249 letters, digits and ._-"
_Broker = Annotated[str, checked_by(_check_broker)]
_BROKERS = Expected("a list of HOST:PORT, an IPv6 address in brackets")
_Topic = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9._-]{1,249}$"),
    checked_by(_check_topic),
    Expected(_TOPIC),
]
_User = Annotated[
    str, Field(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=255), Expected("the name of a user")
]


class SaslOptions(PasswordOptions):
    """Who we are, by a user and a password."""

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        description="how the password is shown; `PLAIN` tells it to whoever listens, unless there"
        " is `tls`",
        examples=["SCRAM-SHA-512"],
    )
    user: _User = Field(description="the user at the brokers", examples=["ryu-droplog"])

    @model_validator(mode="after")
    def _has_a_password(self) -> SaslOptions:
        if self.password_file is None and self.password_env is None:
            raise ValueError("password_file or password_env")
        return self


class KafkaOptions(DeliveryOptions):
    """The keys of such a sink."""

    brokers: Annotated[
        tuple[_Broker, ...], Field(strict=False, min_length=1, max_length=64), _BROKERS
    ] = Field(
        description="some brokers of the cluster, which tell of all others: `HOST:PORT`",
        examples=[["127.0.0.1:9092"]],
    )
    topic: _Topic = Field(description="where the records go", examples=["ryu_droplog.drops"])
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = Field(
        default="lz4", description="how batches are compressed"
    )
    timeout: Annotated[float, Duration("1s", "10m"), TIME] = Field(
        default=30.0,
        description="how long the brokers may take to acknowledge a record, with the tries of the"
        " client library",
        examples=["30s"],
    )
    tls: TlsOptions | None = Field(
        default=None,
        description="whom to trust, and who we are; null: the brokers are spoken to without TLS",
    )
    sasl: SaslOptions | None = Field(
        default=None, description="who we are, by a user and a password; null: nobody"
    )

    @model_validator(mode="after")
    def _has_its_package(self) -> KafkaOptions:
        check_installed("confluent_kafka", "confluent-kafka", "kafka")
        return self
