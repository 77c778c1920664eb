"""What several commands of `ryu-droplog` take on their command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ryu_droplog.config.options import ORDER, choose

F = TypeVar("F", bound=Callable[..., Any])


def config_option(
    name: str, what: str, without: str = "br-int with the defaults"
) -> Callable[[F], F]:
    """The option `--config FILE` as the parameter `name`: the path that is to be taken, or None.

    `what` says what is read there, `without` what is done without any file.
    """
    return click.option(
        "--config",
        name,
        metavar="FILE",
        type=click.Path(),
        callback=lambda context, parameter, value: choose(value),
        help=f"{what} ({ORDER}, else {without})",
    )


def output_option(what: str) -> Callable[[F], F]:
    """The option `--output text|json` as the parameter `output`, with `what` as its help."""
    return click.option(
        "--output",
        "-o",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help=what,
    )
