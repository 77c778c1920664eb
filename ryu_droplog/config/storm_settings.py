"""What droplog.yaml may say under `storm`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from ryu_droplog.config.settings import Storm
from ryu_droplog.schema.convert import STRICT


class StormKeys(BaseModel):
    """What is done about loud flows of packets while a meter drops."""

    model_config = STRICT

    enable: bool = Field(
        default=Storm().enable,
        description="`true`: the loudest step aside; `false`: a meter drops what is too much,"
        " whatever it is",
    )
    per_table: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=Storm().per_table, description="loud flows that step aside at once, a table"
    )
    per_bridge: Annotated[int, Field(ge=1, le=65_536)] = Field(
        default=Storm().per_bridge, description="loud flows that step aside at once, a bridge"
    )
