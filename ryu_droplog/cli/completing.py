"""What a shell may complete behind an option or as an argument: names of the configuration.

A configuration that cannot be read completes to nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import click

from ryu_droplog.config import loader
from ryu_droplog.config.options import choose
from ryu_droplog.config.settings import ANY_BRIDGE, Settings
from ryu_droplog.model.errors import DropLogError
from ryu_droplog.records import baseline_file

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def _of_settings(names: Callable[[Settings], Iterable[str]]) -> Complete:
    """Completes to names in the configuration that the command line says."""

    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        try:
            found = list(names(loader.load(_path(ctx.params))))
        except DropLogError:
            return []
        return [name for name in found if name.startswith(incomplete)]

    return complete


def _path(parameters: dict[str, Any]) -> str | None:
    """What `--config` names, whatever the command calls it, as far as it is said already."""
    told = parameters.get("config_path", parameters.get("path"))
    return choose(told)


def _known(settings: Settings) -> Iterable[str]:
    path = settings.baseline
    return baseline_file.read(path) if path is not None and os.path.exists(path) else ()


bridges = _of_settings(
    lambda settings: [each.name for each in settings.bridges if each.name != ANY_BRIDGE]
)
"""Bridges."""
sinks = _of_settings(lambda settings: [sink.name for sink in settings.sinks])
"""Sinks."""
known_drops = _of_settings(_known)
"""Signatures and problems that the baseline has."""
