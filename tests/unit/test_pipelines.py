"""Pipeline files: the shipped ones, a user's own, and how each mistake is named."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from checkout import copy

from ryu_droplog.model.errors import ConfigError
from ryu_droplog.pipelines import loader as pipelines
from ryu_droplog.pipelines.loader import Pipeline, Table, load_pipelines, parse_pipeline

ROOT = Path(__file__).parents[2]

INT_TABLES = (
    "DROP_LOG_TABLE PORT_SECURITY_TABLE SOURCE_TABLE SNAT_REV_TABLE SERVICE_REV_TABLE BRIDGE_TABLE "
    "SERVICE_NEXTHOP_TABLE ROUTE_TABLE SNAT_TABLE NAT_IN_TABLE LEARN_TABLE SERVICE_DST_TABLE "
    "POL_TABLE STATS_TABLE OUT_TABLE EXP_DROP_TABLE"
)
ACCESS_TABLES = (
    "DROP_LOG_TABLE SERVICE_BYPASS_TABLE GROUP_MAP_TABLE SYS_SEC_GRP_IN_TABLE_ID "
    "SEC_GROUP_IN_TABLE SYS_SEC_GRP_OUT_TABLE_ID SEC_GROUP_OUT_TABLE TAP_TABLE OUT_TABLE "
    "EXP_DROP_TABLE"
)

TABLE_NAME = "expected a name of 1 to 64 letters, digits and _.:-"
TABLE_ID = "expected 0 to 254, an integer"
PIPELINE_NAME = (
    "expected a name of 1 to 64 letters, digits and _.- that begins with a letter or digit"
)
TEXT = "expected at most 500 characters on one line"
DROP_TABLE = "expected an integer from 0 to 254 or null"
KEYS = "pipeline, description, prefix, drop_table, discover, misses, own_cookies, explain, tables"


def mistake_in(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_pipeline(text, "p.yaml")
    return str(caught.value)


def with_tables(tables: str) -> str:
    return f"pipeline: p\ntables: {{{tables}}}\n"


def write(directory: Path, name: str, text: str) -> Path:
    file = directory / name
    file.write_text(text, encoding="utf-8")
    return file


# The shipped pipelines


def test_shipped_pipelines_are_found_in_order() -> None:
    assert list(load_pipelines(None)) == ["auto", "neutron", "opflex-access", "opflex-int", "ovn"]


@pytest.mark.parametrize(
    ("name", "prefix", "drop_table", "tables"),
    [("opflex-int", "Int-", 15, INT_TABLES), ("opflex-access", "Acc-", 9, ACCESS_TABLES)],
)
def test_opflex_pipeline_names_every_table(
    name: str, prefix: str, drop_table: int, tables: str
) -> None:
    pipeline = load_pipelines(None)[name]
    assert (name, prefix, drop_table, False) == (
        pipeline.name,
        pipeline.prefix,
        pipeline.drop_table,
        pipeline.discover,
    )
    expected = list(enumerate(tables.split()))
    assert expected == [(table.id, table.name) for table in pipeline.tables.values()]
    assert list(pipeline.tables) == [table.id for table in pipeline.tables.values()]
    assert all(table.cause for table in pipeline.tables.values())


def test_auto_pipeline_discovers_and_names_nothing() -> None:
    auto = load_pipelines(None)["auto"]
    assert (True, {}, "", None) == (auto.discover, auto.tables, auto.prefix, auto.drop_table)


def test_cause_is_as_written() -> None:
    tables = load_pipelines(None)["opflex-int"].tables
    expected = "where all drops are sent; never names a drop itself"
    assert expected == tables[15].cause


def test_tables_cannot_be_changed() -> None:
    pipeline = load_pipelines(None)["auto"]
    with pytest.raises(TypeError, match="does not support item assignment"):
        pipeline.tables[0] = Table(0, "A", "")  # type: ignore[index]
    with pytest.raises(AttributeError):
        pipeline.prefix = "A-"  # type: ignore[misc]


# Names of tables


@pytest.mark.parametrize(
    ("table_id", "expected"), [(0, "OURS"), (1, "THEIRS"), (2, "TABLE_2"), (254, "TABLE_254")]
)
def test_table_name_is_the_pipelines_then_the_switchs_then_the_number(
    table_id: int, expected: str
) -> None:
    pipeline = parse_pipeline(with_tables("0: {name: OURS}"), "p.yaml")
    assert expected == pipeline.table_name(table_id, {0: "THEIRS", 1: "THEIRS", 2: ""})


# A file


def test_whole_file_gives_its_pipeline() -> None:
    text = (
        'pipeline: p-1.x\ndescription: "what: it is"\nprefix: "P-"\ndrop_table: 254\n'
        "discover: true\ntables:\n  254: {name: LAST, cause: c}\n  0: {name: 'a_b.c:d-1'}\n"
    )
    expected = Pipeline(
        name="p-1.x",
        prefix="P-",
        tables={0: Table(0, "a_b.c:d-1", ""), 254: Table(254, "LAST", "c")},
        drop_table=254,
        discover=True,
        description="what: it is",
    )
    pipeline = parse_pipeline(text, "p.yaml")
    assert expected == pipeline
    assert [0, 254] == list(pipeline.tables)


def test_shortest_file_gives_defaults() -> None:
    expected = Pipeline("p", "", {7: Table(7, "A", "")}, None, False, "")
    assert expected == parse_pipeline(with_tables("7: {name: A}"), "p.yaml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", f"got null; expected a mapping with the keys {KEYS}"),
        ("[]", f"got a list; expected a mapping with the keys {KEYS}"),
        ("discover: true", f"pipeline: missing; {PIPELINE_NAME}"),
        ("pipeline: 5", f"pipeline: got 5; {PIPELINE_NAME}"),
        ("pipeline: a/b", f'pipeline: got "a/b"; {PIPELINE_NAME}'),
        ("pipeline: .a", f'pipeline: got ".a"; {PIPELINE_NAME}'),
        (f"pipeline: {'p' * 65}", f'pipeline: got "{"p" * 59}…; {PIPELINE_NAME}'),
        (
            "pipeline: p\ntabels: {}",
            f"tabels: unknown key, nearest is tables; expected one of {KEYS}",
        ),
        ("pipeline: p\ndescription: null", f"description: got null; {TEXT}"),
        ('pipeline: p\ndescription: "a\\nb"', f'description: got "a\\nb"; {TEXT}'),
        (
            'pipeline: p\nprefix: "a b"',
            'prefix: got "a b"; expected at most 32 printable ASCII characters without spaces',
        ),
        ("pipeline: p\ndiscover: 1", "discover: got 1; expected true or false"),
        ("pipeline: p\ndrop_table: 255", f"drop_table: got 255; {DROP_TABLE}"),
        ("pipeline: p\ndrop_table: -1", f"drop_table: got -1; {DROP_TABLE}"),
        ('pipeline: p\ndrop_table: "9"', f'drop_table: got "9"; {DROP_TABLE}'),
        ("pipeline: p\ndrop_table: true", f"drop_table: got true; {DROP_TABLE}"),
        (
            "pipeline: p\ndrop_table: 9\ntables: {8: {name: A}}",
            "drop_table: got 9; expected a table listed in tables",
        ),
        ("pipeline: p", "tables: no table is named; expected at least one, or discover: true"),
        (
            "pipeline: p\ntables:\n",
            "tables: no table is named; expected at least one, or discover: true",
        ),
        ("pipeline: p\ntables: [A]", "tables: got a list; expected a mapping or null"),
        (with_tables("255: {name: A}"), f"tables.255: got the table id 255; {TABLE_ID}"),
        (with_tables("-1: {name: A}"), f"tables.-1: got the table id -1; {TABLE_ID}"),
        (with_tables('"0": {name: A}'), f'tables.0: got the table id "0"; {TABLE_ID}'),
        (with_tables("1.0: {name: A}"), f"tables.1.0: got the table id 1.0; {TABLE_ID}"),
        (with_tables("true: {name: A}"), f"tables.true: got the table id true; {TABLE_ID}"),
        (with_tables("null: {name: A}"), f"tables.null: got the table id null; {TABLE_ID}"),
        (
            with_tables("0: A"),
            'tables.0: got "A"; expected a mapping with the keys name, cause, leave',
        ),
        (
            with_tables("0: "),
            "tables.0: got null; expected a mapping with the keys name, cause, leave",
        ),
        (with_tables("0: {cause: c}"), f"tables.0.name: missing; {TABLE_NAME}"),
        (with_tables("0: {name: 1}"), f"tables.0.name: got 1; {TABLE_NAME}"),
        (with_tables('0: {name: ""}'), f'tables.0.name: got ""; {TABLE_NAME}'),
        (with_tables('0: {name: "A B"}'), f'tables.0.name: got "A B"; {TABLE_NAME}'),
        (with_tables('0: {name: "A\\n"}'), f'tables.0.name: got "A\\n"; {TABLE_NAME}'),
        (
            with_tables(f"0: {{name: {'A' * 65}}}"),
            f'tables.0.name: got "{"A" * 59}…; {TABLE_NAME}',
        ),
        (with_tables("0: {name: A, cause: 5}"), f"tables.0.cause: got 5; {TEXT}"),
        (
            with_tables("0: {name: A, causes: c}"),
            "tables.0.causes: unknown key, nearest is cause; expected one of name, cause, leave",
        ),
        (
            with_tables("0: {name: A}, 3: {name: B}, 7: {name: A}"),
            'tables.7.name: "A" names table 0 already; expected a name for each table',
        ),
    ],
)
def test_mistake_is_named_with_key_value_and_expectation(text: str, expected: str) -> None:
    assert f"p.yaml: {expected}" == re.sub("^p.yaml:[0-9]+: ", "p.yaml: ", mistake_in(text))


def test_table_that_stands_twice_is_refused() -> None:
    text = "pipeline: p\ntables:\n  1: {name: A}\n  01: {name: B}\n"
    assert mistake_in(text) == "p.yaml:4: duplicate key 1"


# A directory of the user's own


def test_own_file_adds_a_pipeline(tmp_path: Path) -> None:
    write(tmp_path, "mine.yaml", "pipeline: mine\ndiscover: true\ntables: {4: {name: A}}\n")
    found = load_pipelines(str(tmp_path))
    assert ["auto", "mine", "neutron", "opflex-access", "opflex-int", "ovn"] == list(found)
    assert (True, {4: Table(4, "A", "")}) == (found["mine"].discover, found["mine"].tables)


def test_own_file_replaces_a_shipped_pipeline(tmp_path: Path) -> None:
    write(tmp_path, "opflex-int.yaml", "pipeline: opflex-int\ntables: {4: {name: A}}\n")
    found = load_pipelines(str(tmp_path))
    assert {4: Table(4, "A", "")} == found["opflex-int"].tables
    assert load_pipelines(None)["opflex-access"] == found["opflex-access"]


def test_other_files_are_ignored(tmp_path: Path) -> None:
    for name in (".hidden.yaml", "a.yml", "a.yaml~", "README", "a.json"):
        write(tmp_path, name, "no pipeline")
    (tmp_path / "folder").mkdir()
    assert load_pipelines(None) == load_pipelines(str(tmp_path))


def test_name_that_is_not_the_files_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, "mine.yaml", "pipeline: yours\ndiscover: true\n")
    with pytest.raises(ConfigError) as caught:
        load_pipelines(str(tmp_path))
    assert f'{file}:1: pipeline: got "yours"; expected "mine", as the file' == str(caught.value)


def test_mistake_in_own_file_names_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "mine.yaml", "pipeline: mine\ndiscover: 1\n")
    with pytest.raises(ConfigError) as caught:
        load_pipelines(str(tmp_path))
    assert f"{file}:2: discover: got 1; expected true or false" == str(caught.value)


def test_folder_with_a_files_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").mkdir()
    with pytest.raises(ConfigError) as caught:
        load_pipelines(str(tmp_path))
    expected = f"{tmp_path / 'mine.yaml'}: cannot be read: Is a directory"
    assert expected == str(caught.value)


def test_missing_directory_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        load_pipelines("/nowhere")
    expected = (
        'pipeline_directory: "/nowhere" cannot be read (No such file or directory); '
        "expected a directory of pipeline files"
    )
    assert expected == str(caught.value)


# Where the shipped files are


def test_checkout_has_them_beside_the_package(tmp_path: Path) -> None:
    package = tmp_path / "ryu_droplog"
    package.mkdir()
    assert tmp_path / "flows" == pipelines._shipped(package)


def test_installed_package_has_them_inside(tmp_path: Path) -> None:
    """A folder of the same name beside the package is somebody else's."""
    package = tmp_path / "ryu_droplog"
    (package / "flows").mkdir(parents=True)
    (tmp_path / "flows").mkdir()
    assert package / "flows" == pipelines._shipped(package)


@pytest.mark.timeout(120)
def test_wheel_brings_the_shipped_pipelines(tmp_path: Path) -> None:
    """Built from a copy, installed elsewhere, and read from there."""
    source, target = tmp_path / "source", tmp_path / "target"
    copy(source)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
    isolation = ["--no-build-isolation"] if _can_build_wheels() else []
    subprocess.run([*pip, *isolation, "--target", str(target), str(source)], check=True)
    program = (
        "from ryu_droplog.pipelines import loader as pipelines; "
        "print(pipelines.__file__, *pipelines.load_pipelines(None))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=True,
    )
    expected = [
        f"{target}/ryu_droplog/pipelines/loader.py",
        "auto",
        "neutron",
        "opflex-access",
        "opflex-int",
        "ovn",
    ]
    assert expected == result.stdout.split()
    shipped = {file.name for file in (ROOT / "flows").glob("*.yaml")}
    assert shipped == {file.name for file in (target / "ryu_droplog" / "flows").glob("*.yaml")}


def _can_build_wheels() -> bool:
    """Whether this environment has what pip would otherwise download to build a wheel."""
    if importlib.util.find_spec("setuptools") is None:
        return False
    release = int(metadata.version("setuptools").partition(".")[0])
    return release >= 71 or importlib.util.find_spec("wheel") is not None


def test_owner_that_is_not_there_is_refused_with_those_that_are() -> None:
    assert "" == parse_pipeline("pipeline: p\ndiscover: true", "p.yaml").explain
    assert "ovn" == parse_pipeline("pipeline: p\ndiscover: true\nexplain: ovn", "p.yaml").explain
    said = mistake_in("pipeline: p\ndiscover: true\nexplain: acme")
    assert said.startswith("p.yaml:3: explain: got ")
    assert "opflex, neutron, ovn, unknown" in said
