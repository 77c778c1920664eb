"""The schema of droplog.yaml, as editors and readers get it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from ryu_droplog.cli.check_config import check_config
from ryu_droplog.config import loader
from ryu_droplog.config.file_schema import ConfigurationFile, SinkKeys
from ryu_droplog.config.json_schema import DIALECT, json_schema, sink_types
from ryu_droplog.config.reference import reference
from ryu_droplog.model.errors import ConfigError
from ryu_droplog.pipelines.file_schema import PipelineFile
from ryu_droplog.schema.expected import arguments, items_of, kind_of_field, mapping_of, model_of
from ryu_droplog.schema.yaml_document import Document

ROOT = Path(__file__).parents[2]
VALIDATOR = Draft202012Validator(json_schema())


def models(model: type[BaseModel]) -> list[type[BaseModel]]:
    """A model, and all those in it."""
    found = [model]
    for field in model.model_fields.values():
        kind = kind_of_field(field)
        mapping = mapping_of(kind)
        inner = [kind, items_of(kind), arguments(mapping)[1] if mapping else None]
        for each in inner:
            below = model_of(each) if each is not None else None
            found += models(below) if below is not None else []
    return found


ALL = dict.fromkeys([*models(ConfigurationFile), *models(SinkKeys), *models(PipelineFile)])


def examples() -> list[Any]:
    """The shipped files, and what documents show of droplog.yaml."""
    shipped = ("contrib/droplog.yaml", "docs/droplog.yaml", "docs/fleet/droplog.yaml")
    files = [ROOT / name for name in shipped]
    found = [pytest.param(path.read_text(encoding="utf-8"), id=path.parent.name) for path in files]
    tops = ConfigurationFile.model_fields.keys()
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = page.read_text(encoding="utf-8")
        installed = page.name != "extending.md"  # whose parts are of another package
        for number, block in enumerate(re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)):
            keys = re.findall(r"^([a-z_]+):", block, re.M)
            if installed and keys and set(keys) <= tops and len(keys) == len(set(keys)):
                found.append(pytest.param(block, id=f"{page.name}-{number}"))
    return found


def test_schema_is_a_json_schema() -> None:
    schema = json_schema()
    assert DIALECT == schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(schema)


def test_command_prints_it() -> None:
    result = CliRunner().invoke(check_config, ["--schema"])
    assert (0, json_schema()) == (result.exit_code, json.loads(result.output))


@pytest.mark.parametrize("text", examples())
def test_shipped_and_documented_files_are_valid(text: str) -> None:
    data = Document(text, "f.yaml").data
    assert [] == [error.message for error in VALIDATOR.iter_errors(data)]


def test_documented_examples_are_found() -> None:
    assert len(examples()) > 4


@pytest.mark.parametrize(
    "text",
    [
        "metre: {}",
        "meter: {rate: 0}",
        "meter: {required: 1}",
        "bridges: []",
        "bridges: [{prefix: a}]",
        "listen: {forget: 10m}",
        "throttle: {window: soon}",
        "throttle: {window: 7200}",
        "log_directory: here",
        "sinks: [{name: a, type: kafkaesque}]",
        "sinks: [{name: a, type: file}]",
        "sinks: [{name: a, type: stdout, path: x}]",
        "sinks: [{name: a b, type: stdout}]",
        "sinks: [{name: a, type: stdout, queue: {drops: 0}}]",
    ],
)
def test_what_the_program_refuses_the_json_schema_refuses_too(text: str) -> None:
    with pytest.raises(ConfigError):
        loader.parse(text, "f.yaml", {})
    assert list(VALIDATOR.iter_errors(Document(text, "f.yaml").data))


@pytest.mark.parametrize(
    "text",
    ["", "meter:", "throttle: {window: 1h}", "listen: 6653"]
    + [f"sinks: [{{name: a, type: stdout, queue: {{drops: {drops}}}}}]" for drops in (5, "10K")],
)
def test_what_the_program_takes_the_json_schema_takes_too(text: str) -> None:
    loader.parse(text, "f.yaml", {})
    assert [] == [error.message for error in VALIDATOR.iter_errors(Document(text, "f.yaml").data)]


def test_reference_page_is_what_the_schema_says() -> None:
    """tools/configuration-reference writes it."""
    page = (ROOT / "docs" / "configuration-reference.md").read_text(encoding="utf-8")
    assert reference() == page


@pytest.mark.parametrize("model", [*ALL, *sink_types().values()], ids=lambda model: model.__name__)
def test_every_key_has_a_meaning(model: type[BaseModel]) -> None:
    for key, field in model.model_fields.items():
        assert field.description, key


def test_every_section_is_on_the_reference_page() -> None:
    page = reference()
    for model in ALL:
        for key in model.model_fields:
            assert f"| `{key}` |" in page
