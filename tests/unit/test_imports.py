"""What the layers cannot say: what is imported only when it is needed, and by what means.

The layers themselves are in pyproject.toml; `lint-imports` keeps them (tools/test).
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "ryu_droplog"
NAME = PACKAGE.name
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

PURE = (
    *("packet/", "model/", "text/", "openflow/framing.py", "openflow/handshake.py"),
    *("openflow/replies.py", "processing/dedup.py", "processing/filter.py"),
    *("processing/capture_filter.py", "reconcile/planner.py", "reconcile/pace.py"),
    *("reconcile/other_runs.py", "filters/masked.py", "filters/numbers.py", "filters/place.py"),
)
INPUT_AND_OUTPUT = {"socket", "subprocess", "threading", "select", "selectors", "requests"}


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
    """The rooms of this package among them: `openflow` for `ryu_droplog.openflow.messages`."""
    inner = {name.split(".", 2)[1] for name in names if name.startswith(f"{NAME}.")}
    rooms = {path.partition("/")[0].removesuffix(".py") for path in FILES}
    return inner & rooms


def read(file: str) -> str:
    return (PACKAGE / file).read_text(encoding="utf-8")


def loaded(statement: str) -> set[str]:
    """The top-level modules, and rooms of ours, that are loaded by a statement in a new process."""
    program = f"import sys; {statement}; print(*sys.modules)"
    env = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, check=True, env=env
    )
    names = done.stdout.decode().split()
    return {".".join(name.split(".")[: 2 if name.startswith(f"{NAME}.") else 1]) for name in names}


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
    for rule in PURE:
        assert any(file.startswith(rule) for file in FILES), rule


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith(PURE)])
def test_pure_part_has_no_input_output_or_threads(file: str) -> None:
    roots = {name.partition(".")[0] for name in imports(read(file))}
    assert not roots & INPUT_AND_OUTPUT


def test_command_is_there_before_the_switch_is_spoken_to() -> None:
    """`ryu-droplog --help` loads neither os-ken nor what needs it."""
    modules = loaded("import ryu_droplog.cli")
    assert f"{NAME}.cli" in modules
    assert not modules & {"os_ken", "eventlet", f"{NAME}.reconcile", f"{NAME}.doctor"}


def test_module_of_the_application_may_be_imported_by_another_program() -> None:
    assert f"{NAME}.runtime" in loaded("import ryu_droplog.runtime.manager, ryu_droplog.app")


@pytest.mark.parametrize("command", ["run", "plan", "doctor", "clean"])
def test_command_that_loads_the_hub_does_so_before_pydantic(command: str) -> None:
    """eventlet goes through all objects that there are, and gives up at pydantic's."""
    assert "pydantic" not in loaded(f"import ryu_droplog.cli.{command}")
