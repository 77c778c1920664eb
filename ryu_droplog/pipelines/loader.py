"""Pipelines: what the tables of a bridge are called, read from `flows/*.yaml`.

Names and ids are facts of the program that owns the bridge; here they are data, and a file that
contradicts itself is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from msgspec import Meta, Struct

from ryu_droplog.model.errors import ConfigError
from ryu_droplog.plugins.parts import OWNERS
from ryu_droplog.schema import yaml_file
from ryu_droplog.schema.yaml_file import join, mistake, show

AUTO = "auto"
"""The pipeline that takes what it finds on the bridge."""
LAST_TABLE = 254
"""Highest table number; 255 is OFPTT_ALL (OpenFlow 1.3.5 section 7.3.3)."""

Prefix = Annotated[
    str,
    Meta(
        pattern=r"^[!-~]{0,32}\Z",
        description="at most 32 printable ASCII characters without spaces",
    ),
]
PipelineName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z",
        description="a name of 1 to 64 letters, digits and _.- that begins with a letter or digit",
    ),
]
_TableName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_.:-]{1,64}\Z",
        description="a name of 1 to 64 letters, digits and _.:-",
    ),
]
_Text = Annotated[
    str,
    Meta(pattern=r"^[^\x00-\x1f\x7f]{0,500}\Z", description="at most 500 characters on one line"),
]


@dataclass(frozen=True, slots=True)
class Table:
    """A flow table that has a name."""

    id: int
    """OpenFlow table number, 0 to 254."""
    name: str
    """As the drop line shows it: 1 to 64 letters, digits and `_.:-`."""
    cause: str
    """Probable cause of a drop here, for people; empty if nobody wrote one."""
    leave: str = ""
    """Why the table is never touched and its drops are no loss; empty: it is like any other."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The tables of a bridge, as its owner arranged them."""

    name: str
    prefix: str
    """Stands before the table name in a drop line, unless the bridge has a prefix of its own."""
    tables: Mapping[int, Table]
    """The named tables by id, in ascending order; read-only."""
    drop_table: int | None
    """The table where the owner sends all drops on a bridge that it manages: a key of `tables`."""
    discover: bool
    """True: the tables that the bridge's flows use belong to the pipeline, too."""
    description: str
    misses: bool = True
    """False: nothing is ever missed on such a bridge, its owner drops by explicit flows alone."""
    own_cookies: bool = False
    """True: a cookie other than 0 belongs to one rule of the owner for as long as that rule lives,
    so that a flow can be told by it from every later one in its place."""
    explain: str = ""
    """Name of the owner that explains the drops, one of `plugins.parts.OWNERS`; empty: nobody."""

    def table_name(self, table_id: int, names: Mapping[int, str]) -> str:
        """What the drop line calls the table `table_id` (0 to 254).

        `names` are the names that the switch itself has for its tables, by id; the pipeline's own
        go first. A table that has neither is `TABLE_<id>`.
        """
        table = self.tables.get(table_id)
        return table.name if table else names.get(table_id) or f"TABLE_{table_id}"


class _Table(Struct, frozen=True, forbid_unknown_fields=True):
    name: _TableName
    cause: _Text = ""
    leave: _Text = ""


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    pipeline: PipelineName
    description: _Text = ""
    prefix: Prefix = ""
    drop_table: Annotated[int, Meta(ge=0, le=LAST_TABLE)] | None = None
    discover: bool = False
    misses: bool = True
    own_cookies: bool = False
    explain: str = ""
    tables: dict[Any, Any] | None = None


def load_pipelines(user_directory: str | None) -> dict[str, Pipeline]:
    """All pipelines by name, in order: the shipped ones, and those in `user_directory` if not None.

    A file there replaces the shipped pipeline of the same name. Only `*.yaml` files count, and
    none whose name begins with a dot. Raises ConfigError for the first mistake in a file, and if a
    directory or file cannot be read.
    """
    found = _read_all(_shipped(Path(str(resources.files("ryu_droplog")))), "shipped pipelines")
    if user_directory is not None:
        found += _read_all(Path(user_directory), "pipeline_directory")
    by_name = {pipeline.name: pipeline for pipeline in found}
    return dict(sorted(by_name.items()))


def parse_pipeline(text: str, source: str) -> Pipeline:
    """The pipeline that `text` describes, the content of the YAML file `source`.

    Raises ConfigError for the first mistake.
    """
    file = yaml_file.convert(yaml_file.load(text, source), _File, source)
    tables = dict(sorted(_tables(file.tables or {}, source)))
    if file.drop_table is not None and file.drop_table not in tables:
        raise mistake(source, "drop_table", f"got {file.drop_table}", "a table listed in tables")
    if not tables and not file.discover:
        raise mistake(source, "tables", "no table is named", "at least one, or discover: true")
    if file.explain and file.explain not in OWNERS:
        expected = f"an owner's name ({', '.join(OWNERS.names())}), or nothing"
        raise mistake(source, "explain", f"got {show(file.explain)}", expected)
    return Pipeline(
        name=file.pipeline,
        prefix=file.prefix,
        tables=MappingProxyType(tables),
        drop_table=file.drop_table,
        discover=file.discover,
        description=file.description,
        misses=file.misses,
        own_cookies=file.own_cookies,
        explain=file.explain,
    )


def _tables(data: dict[Any, Any], source: str) -> Iterator[tuple[int, Table]]:
    ids: dict[str, int] = {}
    for table_id, value in data.items():
        key = join("tables", table_id)
        if type(table_id) is not int or not 0 <= table_id <= LAST_TABLE:
            raise mistake(
                source, key, f"got the table id {show(table_id)}", f"0 to {LAST_TABLE}, an integer"
            )
        table = yaml_file.convert(value, _Table, source, key)
        if table.name in ids:
            raise mistake(
                source,
                join(key, "name"),
                f"{show(table.name)} names table {ids[table.name]} already",
                "a name for each table",
            )
        ids[table.name] = table_id
        yield table_id, Table(table_id, table.name, table.cause, table.leave)


def _shipped(package: Path) -> Path:
    """The directory of the shipped files: inside an installed package, or beside it in a checkout.

    An editable install leaves the package in its checkout.
    """
    installed = package / "flows"
    return installed if installed.is_dir() else package.parent / "flows"


def _read_all(directory: Path, key: str) -> list[Pipeline]:
    try:
        names = sorted(path.name for path in directory.iterdir())
    except OSError as error:
        raise ConfigError(
            f"{key}: {show(str(directory))} cannot be read ({error.strerror}); "
            "expected a directory of pipeline files"
        ) from error
    return [
        _read(directory / name)
        for name in names
        if name.endswith(".yaml") and not name.startswith(".")
    ]


def _read(path: Path) -> Pipeline:
    source = str(path)
    pipeline = parse_pipeline(yaml_file.read(source), source)
    if pipeline.name != path.stem:
        raise mistake(
            source, "pipeline", f"got {show(pipeline.name)}", f"{show(path.stem)}, as the file"
        )
    return pipeline
