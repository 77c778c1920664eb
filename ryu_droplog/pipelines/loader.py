"""Pipelines: what the tables of a bridge are called, read from `flows/*.yaml`.

Names and ids are facts of the program that owns the bridge; here they are data, and a file that
contradicts itself is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType

from ryu_droplog.model.errors import ConfigError
from ryu_droplog.pipelines.file_schema import PipelineFile
from ryu_droplog.plugins.parts import OWNERS
from ryu_droplog.schema import text_file
from ryu_droplog.schema.convert import convert
from ryu_droplog.schema.wording import show
from ryu_droplog.schema.yaml_document import Document

AUTO = "auto"
"""The pipeline that takes what it finds on the bridge."""


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


@lru_cache(maxsize=32)  # a command asks for the same files more than once, and so does a reload
def parse_pipeline(text: str, source: str) -> Pipeline:
    """The pipeline that `text` describes, the content of the YAML file `source`.

    Raises ConfigError for the first mistake.
    """
    document = Document(text, source)
    file = convert(document, PipelineFile, document.data)
    tables = dict(sorted(_tables(file, document)))
    if file.drop_table is not None and file.drop_table not in tables:
        wrong = f"got {file.drop_table}"
        raise document.mistake(["drop_table"], wrong, "a table listed in tables")
    if not tables and not file.discover:
        expected = "at least one, or discover: true"
        raise document.mistake(["tables"], "no table is named", expected)
    if file.explain and file.explain not in OWNERS:
        expected = f"an owner's name ({', '.join(OWNERS.names())}), or nothing"
        raise document.mistake(["explain"], f"got {show(file.explain)}", expected)
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


def _tables(file: PipelineFile, document: Document) -> Iterator[tuple[int, Table]]:
    ids: dict[str, int] = {}
    for table_id, table in (file.tables or {}).items():
        if table.name in ids:
            raise document.mistake(
                ["tables", table_id, "name"],
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
    text = text_file.read(source)
    pipeline = parse_pipeline(text, source)
    if pipeline.name != path.stem:
        wrong, expected = f"got {show(pipeline.name)}", f"{show(path.stem)}, as the file"
        raise Document(text, source).mistake(["pipeline"], wrong, expected)
    return pipeline
