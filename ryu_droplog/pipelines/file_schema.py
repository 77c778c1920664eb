"""What a pipeline file may hold: every key with its meaning, range and default."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from ryu_droplog.schema.convert import STRICT
from ryu_droplog.schema.expected import Expected

LAST_TABLE = 254
"""Highest table number; 255 is OFPTT_ALL (OpenFlow 1.3.5 section 7.3.3)."""

Prefix = Annotated[
    str,
    Field(pattern="^[!-~]*$", max_length=32),
    Expected("at most 32 printable ASCII characters without spaces"),
]
PipelineName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64),
    Expected(
        "a name of 1 to 64 letters, digits and _.- that begins with a letter or digit",
    ),
]
TableId = Annotated[int, Field(ge=0, le=LAST_TABLE)]
_TableName = Annotated[
    str,
    Field(pattern="^[A-Za-z0-9_.:-]+$", max_length=64),
    Expected("a name of 1 to 64 letters, digits and _.:-"),
]
_Text = Annotated[
    str,
    Field(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=500),
    Expected("at most 500 characters on one line"),
]


class TableEntry(BaseModel):
    """A table that has a name."""

    model_config = STRICT

    name: _TableName = Field(
        description="as the drop line shows it, different for each table", examples=["ACL"]
    )
    cause: _Text = Field(
        default="", description="probable cause of a drop in this table, for people"
    )
    leave: _Text = Field(
        default="",
        description="why the table is never touched, and what is dropped there is no loss",
    )


_Tables = Annotated[
    dict[Annotated[TableId, Expected(f"0 to {LAST_TABLE}, an integer")], TableEntry],
    Expected("a mapping", key="table id"),
]


class PipelineFile(BaseModel):
    """A pipeline: what the tables of a bridge are called."""

    model_config = STRICT

    pipeline: PipelineName = Field(
        description="name of the pipeline, the same as the file's without `.yaml`",
        examples=["edge"],
    )
    description: _Text = Field(default="", description="for people")
    prefix: Prefix = Field(
        default="", description="used where the bridge has no `prefix`", examples=["Edge-"]
    )
    drop_table: TableId | None = Field(
        default=None,
        description="the table where the owner of the bridge sends all its drops; it must be listed"
        " in `tables`",
    )
    discover: bool = Field(
        default=False,
        description="`true`: the tables that the bridge's flows use are watched, whether they are"
        " named or not; `false`: the named ones",
    )
    misses: bool = Field(
        default=True,
        description="`false`: nothing is missed on such a bridge, its owner drops by explicit flows"
        " alone; no table is watched",
    )
    own_cookies: bool = Field(
        default=False,
        description="`true`: the owner gives a cookie other than 0 to one rule alone, for as long"
        " as it lives",
    )
    explain: str = Field(
        default="", description="name of the owner whose registers say why a packet was dropped"
    )
    tables: _Tables | None = Field(
        default=None,
        description="the named tables, by OpenFlow table number; may be empty only with"
        " `discover: true`",
    )
