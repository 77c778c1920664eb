"""Imports run downwards only: the rule of the architecture, read from the source."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "ryu_droplog"
NAME = PACKAGE.name
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

MAY_USE_OS_KEN = ("app.py", "hubs.py", "manager.py", "openflow/", "osken_manager.py")
"""Nothing else imports os_ken or eventlet."""
PURE = (
    *("packet/", "drop.py", "cookie.py", "errors.py", "ledger.py", "throttle.py", "capture.py"),
    "printable.py",
)
PURE_MAY_IMPORT = {"drop", "errors", "filters", "packet", "cookie", "ledger", "printable"}
TOP = {
    "__main__",
    "app",
    "around",
    "cli",
    "describe",
    "doctor",
    "findings",
    "manager",
    "osken_manager",
    "page",
    "receive",
    "watch",
    "watches",
    "works",
}
"""They know everything, so nothing imports them."""
LAZY = {"cli.py": {"doctor", "manager", "openflow", "page"}}
"""What a file may import inside of its functions alone."""


def imports(text: str, *, inside_functions: bool = True) -> set[str]:
    """Full names of the modules that a source text imports; what it imports from one, with it.

    Imports for type checkers alone (`if TYPE_CHECKING:`) count, too.
    """
    return set(_imported(ast.parse(text), inside_functions))


def _imported(node: ast.AST, inside_functions: bool) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "relative imports hide what is imported"
            for alias in child.names:
                yield f"{child.module}.{alias.name}"
        elif inside_functions or not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _imported(child, inside_functions)


def of_package(names: set[str]) -> set[str]:
    """The parts of this package among them: `openflow` for `ryu_droplog.openflow.plan.plan`."""
    inner = {name.split(".", 2)[1] for name in names if name.startswith(f"{NAME}.")}
    parts = {path.partition("/")[0].removesuffix(".py") for path in FILES}
    return inner & parts


def read(file: str) -> str:
    return (PACKAGE / file).read_text(encoding="utf-8")


def part(file: str) -> str:
    """`openflow` for openflow/plan.py, `drop` for drop.py."""
    return file.partition("/")[0].removesuffix(".py")


def test_imports_of_a_text_are_found_wherever_they_stand() -> None:
    text = """
import os, a.b
from c import d as e
if TYPE_CHECKING:
    from f.g import h
class K:
    def k(self):
        import lazy
"""
    expected = {"os", "a.b", "c.d", "f.g.h", "lazy"}
    assert expected == imports(text)
    assert expected - {"lazy"} == imports(text, inside_functions=False)


def test_package_has_the_files_that_the_rules_speak_of() -> None:
    for rule in (*MAY_USE_OS_KEN, *PURE, *LAZY):
        assert any(file.startswith(rule) for file in FILES), rule


@pytest.mark.parametrize("file", FILES)
def test_os_ken_and_eventlet_are_imported_only_where_they_may_be(file: str) -> None:
    roots = {name.partition(".")[0] for name in imports(read(file))}
    theirs = roots & {"os_ken", "eventlet"}
    assert not theirs or file.startswith(MAY_USE_OS_KEN)


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith(PURE)])
def test_pure_part_imports_pure_parts_the_standard_library_and_msgspec(file: str) -> None:
    names = imports(read(file))
    others = of_package(names) - PURE_MAY_IMPORT
    assert not others
    roots = {name.partition(".")[0] for name in names} - {NAME}
    assert roots <= sys.stdlib_module_names | {"msgspec"}


@pytest.mark.parametrize(
    "file",
    [file for file in FILES if part(file) not in {*TOP, "openflow"}],
)
def test_what_is_below_the_switch_does_not_know_it(file: str) -> None:
    assert not of_package(imports(read(file))) & {*TOP, "openflow"}


@pytest.mark.parametrize("file", [file for file in FILES if part(file) not in TOP])
def test_nothing_imports_what_knows_everything(file: str) -> None:
    assert not of_package(imports(read(file))) & TOP


@pytest.mark.parametrize("file", LAZY)
def test_lazy_file_does_not_load_the_switch_before_it_is_needed(file: str) -> None:
    at_once = of_package(imports(read(file), inside_functions=False))
    assert not at_once & LAZY[file]
    assert LAZY[file] <= of_package(imports(read(file))) | LAZY[file]


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("sinks/")])
def test_sinks_do_not_know_the_other_stages(file: str) -> None:
    stages = {"chain", "classify", "throttle", "config", "settings"}
    assert not of_package(imports(read(file))) & stages


def test_no_two_parts_import_each_other() -> None:
    known: dict[str, set[str]] = {}
    for file in FILES:
        known.setdefault(part(file), set()).update(of_package(imports(read(file))))
    mutual = {
        frozenset((one, other))
        for one, others in known.items()
        for other in others
        if one != other and one in known.get(other, ())
    }
    assert not mutual
