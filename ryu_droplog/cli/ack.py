"""The command `ryu-droplog ack`."""

from __future__ import annotations

import getpass
import os
import sys
import time
from collections.abc import Mapping
from datetime import date, datetime, timezone

import click

from ryu_droplog.cli import completing
from ryu_droplog.cli.arguments import config_option
from ryu_droplog.cli.exits import Exit
from ryu_droplog.cli.visiting import errors_in_one_line
from ryu_droplog.config import loader
from ryu_droplog.model.errors import ConfigError
from ryu_droplog.records import baseline_file
from ryu_droplog.records.acknowledged import KEY, Entry
from ryu_droplog.schema.wording import show
from ryu_droplog.text.printable import printable


def _key(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not KEY.fullmatch(value):
        raise click.BadParameter(
            f"got {show(value)}; expected {baseline_file.KEYS}: `ryu-droplog observe -o dict`"
            " and `ryu-droplog doctor` show them"
        )
    return value


def _day(ctx: click.Context, parameter: click.Parameter, value: str | None) -> date | None:
    if value is None:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"got {show(value)}; expected a day such as 2026-12-31") from None


@click.command(
    epilog="Exit status: 0 done, 1 --remove found no such entry, 2 the file or the command line is"
    " wrong."
)
@click.argument(
    "key",
    metavar="[SIGNATURE|PROBLEM]",
    required=False,
    callback=_key,
    shell_complete=completing.known_drops,
)
@config_option("path", "droplog.yaml, whose `baseline` names the file")
@click.option("--reason", metavar="TEXT", help="Why these drops are left as they are.")
@click.option(
    "--until", metavar="DATE", callback=_day, help="The last day for which that holds, UTC."
)
@click.option("--remove", is_flag=True, help="Take the entry out of the file.")
@click.option("--list", "listed", is_flag=True, help="Show the entries, and which are past.")
def ack(
    key: str | None,
    path: str | None,
    reason: str | None,
    until: date | None,
    remove: bool,
    listed: bool,
) -> None:
    """Note that a drop is known: in the file that `baseline` names, which can be kept in git.

    SIGNATURE is one drop between two ends, PROBLEM the same drop whoever the ends are; records have
    both, and so has `ryu-droplog observe -o dict`. A PROBLEM may be one of `ryu-droplog doctor`,
    too, whose lines end with it: doctor then counts it no more.

    Known drops are logged and counted all the same, and marked: `observe --new` and sinks with
    `new_only: true` leave them out. The running program follows the file. Said again, an entry is
    changed; your own name and today's date are noted in it.

    \b
    Examples:
    ryu-droplog observe --last 1 -o dict
    ryu-droplog ack 1:6f0e4b1c9a37d2508e61f3a4c7b2d915 --reason "scanner of the audit" \\
        --until 2026-12-31
    ryu-droplog ack doctor:5be0a8d1c47f2936 --reason "the owner needs its flow there"
    ryu-droplog ack --list
    ryu-droplog ack 1:6f0e4b1c9a37d2508e61f3a4c7b2d915 --remove
    """
    if listed and (key is not None or remove or reason is not None or until is not None):
        raise click.UsageError("--list: expected nothing beside it")
    if not listed and key is None:
        raise click.UsageError("expected a SIGNATURE or PROBLEM, or --list")
    if remove and (reason is not None or until is not None):
        raise click.UsageError("--remove: expected neither --reason nor --until beside it")
    if not (listed or remove) and not (reason or "").strip():
        raise click.UsageError("--reason: expected a text that says why")
    today = datetime.now(timezone.utc).date()
    with errors_in_one_line():
        file = _file(path)
        if listed:
            entries = baseline_file.read(file) if os.path.lexists(file) else {}
            click.echo(_page(file, entries, time.time()))
        elif remove:
            assert key is not None
            if not baseline_file.remove(file, key):
                click.echo(f"ryu-droplog: {file}: has no {key}", err=True)
                sys.exit(Exit.ATTENTION)
            click.echo(f"{file}: {key} removed")
        else:
            assert key is not None
            if until is not None and until < today:
                raise ConfigError(f"--until: {until} is past; expected {today} or later")
            entry = Entry((reason or "").strip(), until, _user(), today)
            was_there = baseline_file.acknowledge(file, key, entry)
            click.echo(f"{file}: {key} {'changed' if was_there else 'added'}")


def _file(path: str | None) -> str:
    settings = loader.load(path)
    if settings.baseline is None:
        raise ConfigError(f"{settings.source}: baseline: is not given; expected the path of a file")
    return settings.baseline


def _user() -> str:
    try:
        name = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # the user has no name
        name = ""
    return name or f"user {os.geteuid()}"


def _page(file: str, entries: Mapping[str, Entry], now: float) -> str:
    past = sum(entry.is_past(now) for entry in entries.values())
    number = "1 entry" if len(entries) == 1 else f"{len(entries)} entries"
    lines = [f"{file}: {number}, {past} past" if past else f"{file}: {number}"]
    for key, entry in entries.items():
        state = f"until {entry.until}" if entry.until else "without end"
        if entry.is_past(now):
            state = f"PAST since {entry.until}, counts no more"
        who = " ".join(filter(None, (entry.by, str(entry.since or ""))))
        said = f" ({printable(who)})" if who else ""
        lines.append(f"  {key}  {state}: {printable(entry.reason)}{said}")
    return "\n".join(lines)
