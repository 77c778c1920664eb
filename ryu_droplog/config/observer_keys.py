"""What droplog.yaml says of observers: what is kept for them, and who may ask."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from ryu_droplog.config.settings import RingBounds
from ryu_droplog.schema.convert import STRICT
from ryu_droplog.schema.expected import Expected
from ryu_droplog.schema.units import Number

Group = Annotated[
    str,
    Field(pattern="^[A-Za-z_][A-Za-z0-9_.-]*$", max_length=32),
    Expected("the name of a group of this host"),
]


class RingKeys(BaseModel):
    """The last drops that each bridge keeps for `ryu-droplog observe`."""

    model_config = STRICT

    drops: Annotated[int, Number(16, 1_000_000)] = Field(
        default=RingBounds().drops, description="drops at most", examples=["10K"]
    )
    bytes: Annotated[int, Number(64_000, 10**9)] = Field(
        default=RingBounds().bytes,
        description="bytes of memory for them at most; each counts as if it had all of `snaplen`",
        examples=["16M"],
    )
    snaplen: Annotated[int, Number(64, 65_535)] = Field(
        default=RingBounds().snaplen, description="bytes of each frame that are kept"
    )
    payload: Literal["headers", "full"] = Field(
        default=RingBounds().payload,
        description="which of these bytes observers get: up to the end of the headers, or all",
    )
