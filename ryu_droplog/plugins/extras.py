"""Packages that only some sinks need: extras in setup.cfg, which are not there unless asked for."""

from __future__ import annotations

from importlib.util import find_spec


def check_installed(module: str, package: str, extra: str) -> None:
    """Raise ValueError, with what was expected as its text, where the module cannot be found.

    `package` is what brings it, `extra` how it is asked for. Imports at most the packages around
    the module.
    """
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:
        spec = None
    if spec is None:
        raise ValueError(f"the package {package}: pip install 'ryu-droplog[{extra}]'")
