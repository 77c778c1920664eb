"""The hub of os-ken, which the environment variable OSKEN_HUB_TYPE chooses.

Its two ways, threads and green threads of eventlet, are not in every release: os-ken 3.1.1 names
the native hub, and lacks most of it.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from ryu_droplog.model.errors import ConfigError

VARIABLE = "OSKEN_HUB_TYPE"
_MODULE = "os_ken.lib.hub"
_NEEDED = {"joinall", "patch", "sleep", "spawn"}
"""What a hub must define for os-ken's manager and this program."""


def check() -> None:
    """Find out whether os-ken has the hub that the environment asks for.

    Raises ConfigError, which names the hubs that there are. Imports nothing of os-ken's.
    """
    asked = os.environ.get(VARIABLE)
    if asked is None:
        return
    there = available()
    if there and asked not in there:
        from importlib import metadata

        release = f"os-ken {metadata.version('os-ken')}"
        expected = (
            f"{there[0]}, the only hub of {release}"
            if len(there) == 1
            else f"one of {', '.join(there)}, the hubs of {release}"
        )
        raise ConfigError(f'{VARIABLE}: got "{asked}"; expected {expected}')


def ready() -> None:
    """Load the hub; under eventlet this changes the standard library, so it comes first.

    Raises ConfigError where os-ken has no such hub.
    """
    check()
    hide_warning()
    from os_ken.lib import hub

    # It takes two calls: eventlet.monkey_patch(thread=False) changes all but threads,
    # (thread=True) threads alone.
    hub.patch(thread=False)
    hub.patch(thread=True)


def real_threading() -> ModuleType:
    """The `threading` module as it was before eventlet changed it, if it did."""
    from os_ken.lib import hub

    if hub.HUB_TYPE == "eventlet":
        from eventlet import patcher

        original: ModuleType = patcher.original("threading")
        return original
    return threading


def real_select() -> ModuleType:
    """The `select` module as it was before eventlet changed it, if it did."""
    from os_ken.lib import hub

    if hub.HUB_TYPE == "eventlet":
        from eventlet import patcher

        original: ModuleType = patcher.original("select")
        return original
    import select

    return select


def hide_warning() -> None:
    """os-ken and ovs import eventlet, which tells its users to leave it; ours cannot."""
    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")


def available() -> list[str]:
    """The hubs of the installed os-ken that can be used, in the order of the alphabet.

    Read from the source of `os_ken.lib.hub`, because importing it decides for one: each branch of
    its `if HUB_TYPE == 'eventlet': ... elif HUB_TYPE == 'native': ...` that defines what is needed.
    Empty where it is not written like that.
    """
    spec = importlib.util.find_spec(_MODULE)
    if spec is None or spec.origin is None:
        return []
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    return sorted(
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.If)
        for name in _names_of_hub(node.test)
        if set(_defined(node.body)) >= _NEEDED
    )


def _names_of_hub(test: ast.expr) -> Iterator[str]:
    """`native` for `HUB_TYPE == 'native'`; nothing for other conditions."""
    match test:
        case ast.Compare(
            left=ast.Name(id="HUB_TYPE"),
            ops=[ast.Eq()],
            comparators=[ast.Constant(value=str() as name)],
        ):
            yield name


def _defined(body: list[ast.stmt]) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            yield statement.name
        elif isinstance(statement, ast.Assign):
            yield from (name.id for name in statement.targets if isinstance(name, ast.Name))
