"""What sinks that send to receivers have for keys in common.

A sink of this kind derives its `Options` from `ForwardingOptions`; one whose receiver acknowledges
from `DeliveryOptions`; passwords are in `sinks.secrets`, TLS in `sinks.tls`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

from ryu_droplog.plugins.sink_options import Encoding, SinkOptions
from ryu_droplog.schema.convert import STRICT
from ryu_droplog.schema.fields import TIME, Directory
from ryu_droplog.schema.units import Duration, Number

Delivery = Literal["at_most_once", "at_least_once"]


class ForwardingOptions(SinkOptions):
    """How a record is written."""

    encode: Encoding = Field(
        default="ecs",
        description="how a drop is written: `native`, `ecs`, `ocsf`, `hubble`, `opflex`, `extended`"
        " or `json`",
    )
    payload: Literal["headers", "full"] = Field(
        default="headers",
        description="which bytes of a packet leave the program: `headers`, up to their end, or"
        " `full`, all that there are",
    )


class SpoolOptions(BaseModel):
    """Where drops wait on disk."""

    model_config = STRICT

    directory: Directory = Field(
        description="where the spool is, in a file that is called by the sink's name; it is made"
        " where it is missing",
        examples=["/var/lib/ryu-droplog/soc"],
    )
    bytes: Annotated[int, Number(100_000, 10**12)] = Field(
        default=10**9,
        description="how much waits at most; beyond it the oldest or the newest expire, as"
        " `queue.overflow` says",
        examples=["1G"],
    )
    age: Annotated[float, Duration("1s", "3650d"), TIME] = Field(
        default=7 * 86_400.0, description="what has waited longer expires", examples=["7d"]
    )


class DeliveryOptions(ForwardingOptions):
    """For sinks whose receiver says what it has taken."""

    delivery: Delivery = Field(
        default="at_most_once",
        description="`at_most_once`: what may have arrived is not sent again; `at_least_once`: all"
        " is sent until it is acknowledged, and may arrive twice",
    )
    spool: SpoolOptions | None = Field(
        default=None,
        description="where drops wait on disk until they are acknowledged, over restarts and kill"
        " -9; null: they wait in memory",
    )

    @model_validator(mode="after")
    def _spool_is_for_at_least_once(self) -> DeliveryOptions:
        if self.spool is not None and self.delivery != "at_least_once":
            raise ValueError("delivery: at_least_once beside spool")
        return self

    def directory(self) -> str | None:
        return self.spool.directory if self.spool is not None else None

    def spool_file(self, name: str) -> str | None:
        """Where the sink of that name has its spool; None: it has none."""
        return f"{self.spool.directory}/{name}.sqlite" if self.spool is not None else None
