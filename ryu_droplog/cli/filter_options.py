"""The options of commands that choose drops: one for each filter, and `--not`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import click

from ryu_droplog.cli import completing
from ryu_droplog.observe.filter_text import NEGATION, conditions_in_order
from ryu_droplog.observe.filters import FILTERS, SHORT
from ryu_droplog.observe.query import Condition, QueryError

_ORDER = "ryu_droplog.filters.order"
_PREFIX = "filter_"
_NEGATED = "negated"


class InOrder(click.Command):
    """A command that keeps the order of its options: `--not` negates the next one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        ctx.meta[_ORDER] = [parameter.name for parameter in order]
        return super().parse_args(ctx, args)


def filter_options(without: Collection[str] = ()) -> Callable[[Callable[..., Any]], Any]:
    """The options, in the order of `FILTERS`, for a command of the class `InOrder`.

    `without` are filters for which the command has an option of its own.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for name, chosen in reversed(FILTERS.items()):
            if name in without:
                continue
            command = click.option(
                f"--{name}",
                *([SHORT[name]] if name in SHORT else []),
                _PREFIX + name.replace("-", "_"),
                multiple=True,
                metavar=chosen.value,
                help=chosen.help,
                shell_complete=completing.bridges if name == "bridge" else None,
            )(command)
        negate = click.option(NEGATION, _NEGATED, is_flag=True, help="Negate the next filter.")
        return negate(command)

    return decorate


def conditions_of(ctx: click.Context, options: dict[str, Any]) -> list[Condition]:
    """What the filters ask, each with whether `--not` stands before it; raises UsageError."""
    try:
        return conditions_in_order(_in_order(ctx.meta[_ORDER], options))
    except QueryError as error:
        raise click.UsageError(str(error)) from None


def _in_order(order: Sequence[str], options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Filters with their values, negations, and an empty name for any other option."""
    waiting = {name: list(options[name]) for name in order if name.startswith(_PREFIX)}
    for name in order:
        if name in waiting:
            yield name.removeprefix(_PREFIX).replace("_", "-"), waiting[name].pop(0)
        else:
            yield NEGATION if name == _NEGATED else "", ""
