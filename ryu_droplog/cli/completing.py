"""What a shell may complete behind an option or as an argument: names of the configuration.

A configuration that cannot be read completes to nothing. What reads it is imported when it is
asked for: commands name these functions before the hub is chosen.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

from ryu_droplog.model.errors import DropLogError

if TYPE_CHECKING:
    from ryu_droplog.config.settings import Settings

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def _of_settings(names: Callable[[Settings], Iterable[str]]) -> Complete:
    """Completes to names in the configuration that the command line says."""

    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        from ryu_droplog.config import loader
        from ryu_droplog.config.options import choose

        path = ctx.params.get("config_path", ctx.params.get("path"))  # whatever the command says
        try:
            found = list(names(loader.load(choose(path))))
        except DropLogError:
            return []
        return [name for name in found if name.startswith(incomplete)]

    return complete


def _bridges(settings: Settings) -> Iterable[str]:
    from ryu_droplog.config.settings import ANY_BRIDGE

    return [each.name for each in settings.bridges if each.name != ANY_BRIDGE]


def _sinks(settings: Settings) -> Iterable[str]:
    return [sink.name for sink in settings.sinks]


def _known_drops(settings: Settings) -> Iterable[str]:
    from ryu_droplog.records import baseline_file

    path = settings.baseline
    return baseline_file.read(path) if path is not None and os.path.exists(path) else ()


bridges = _of_settings(_bridges)
"""Bridges."""
sinks = _of_settings(_sinks)
"""Sinks."""
known_drops = _of_settings(_known_drops)
"""Signatures and problems that the baseline has."""
