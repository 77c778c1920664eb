"""YAML files of users: what they say, on which line, and what is refused."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ryu_droplog.config import loader
from ryu_droplog.model.errors import ConfigError
from ryu_droplog.schema.convert import Mistakes
from ryu_droplog.schema.yaml_document import Document, Item, key_text


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loader.parse(text, "f.yaml", {})
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("off", False),
        ("yes", True),
        ("y", "y"),
        ("010", 8),
        ("0o10", "0o10"),
        ("0x1f", 31),
        ("1_000", 1000),
        ("1e3", "1e3"),
        ("1.5e+3", 1500.0),
        ("~", None),
        ("", None),
        ("%YAML 1.2\n---\na: off", False),
    ],
)
def test_scalars_are_those_of_yaml_1_1(text: str, expected: object) -> None:
    whole = text if text.startswith("%") else f"a: {text}"
    assert expected == Document(whole, "f.yaml").data["a"]


def test_anchor_may_be_set_anew_and_merges_may_be_several() -> None:
    text = "a: &x {k: 1, l: 1}\nb: &x {l: 2, m: 2}\nc: {<<: [*x, {k: 3, l: 3}], m: 4}\n"
    assert {"k": 3, "l": 2, "m": 4} == Document(text, "f.yaml").data["c"]


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (["a"], 1),
        (["a", Item(1)], 3),
        (["a", Item(1), "k"], 4),
        (["a", Item(1), "missing"], 3),
        (["b", 7], 6),
        (["b", "7"], 5),
        (["missing"], None),
        (["a", Item(9)], 1),
    ],
)
def test_line_of_a_key_is_known(path: list[object], line: int | None) -> None:
    text = "a:\n- 1\n- j: 1\n  k: 2\nb:\n  7: x\n"
    assert line == Document(text, "f.yaml").line(path)


def test_path_is_written_as_messages_have_it() -> None:
    assert 'a[0].7."b c"' == key_text(["a", Item(0), 7, "b c"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("meter:\n  rate: 0\n", "f.yaml:2: meter.rate: got 0; "),
        ("format: json\nbridges:\n- name: a\n- prefix: x\n", "f.yaml:4: bridges[1].name: missing"),
        ("a: &x {}\nformat: json\n", "f.yaml:1: a: unknown key"),
        ("bridges:\n- &b {name: a, prefix: 1}\n", "f.yaml:2: bridges[0].prefix: got 1"),
        ("lease:\n  duration: 9\n  renew: 9\n", "f.yaml:3: lease.renew: got 9; expected at most"),
        ("prune:\n  filters:\n  - name: a\n    sip: x\n", "f.yaml:4: prune.filters[0].sip: got"),
        ("opflex:\n  tenants:\n    1: a\n    0: b\n", "f.yaml:4: opflex.tenants: got a mapping"),
    ],
)
def test_refusal_names_the_line(text: str, expected: str) -> None:
    assert refusal(text).startswith(expected)


def test_all_mistakes_are_found_in_the_order_of_the_file() -> None:
    with pytest.raises(Mistakes) as caught:
        loader.parse("lease: {renew: 0}\nformat: xml\nmeter: {rate: 0}\n", "f.yaml", {})
    assert str(caught.value).endswith("from 1 to 32767 (and 2 more mistakes)")
    starts = [str(mistake).partition(": ")[0] for mistake in caught.value.mistakes]
    assert ["f.yaml:1", "f.yaml:2", "f.yaml:3"] == starts


def test_key_that_is_missing_because_it_is_written_wrongly_is_one_mistake() -> None:
    assert "more mistake" not in refusal("bridges: [{nam: b}]")


def test_aliases_may_not_multiply_below_a_key_that_is_known() -> None:
    tables = ", ".join(["1"] * 2000)
    text = (
        f"explicit_drops: &e {{log: [{tables}]}}\nbridges:\n- &b {{name: a, explicit_drops: *e}}\n"
    )
    assert refusal(text + "- *b\n" * 2000).startswith("f.yaml:2: bridges: aliases make more than")


def test_value_that_holds_itself_is_refused() -> None:
    assert "aliases make more than" in refusal("bridges: &b [*b]\n")


def test_version_and_help_load_no_library_of_the_schema() -> None:
    program = (
        "import sys\nfrom ryu_droplog.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}"
        " & {'pydantic', 'ruamel', 'msgspec', 'click'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "--version"], capture_output=True, check=True, text=True
    )
    assert ["['click']"] == done.stdout.splitlines()[-1:]
