"""The command `ryu-droplog status`."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from ryu_droplog.cli.arguments import config_option
from ryu_droplog.cli.exits import NO_PROGRAM, Exit, overall
from ryu_droplog.cli.visiting import errors_in_one_line
from ryu_droplog.config import loader
from ryu_droplog.model.errors import DropLogError
from ryu_droplog.text.printable import plain


@click.command(epilog=NO_PROGRAM)
@config_option("path", "droplog.yaml")
@click.option("--json", "as_json", is_flag=True, help="The whole answer, as JSON.")
def status(path: str | None, as_json: bool) -> None:
    """Show the state of the running program, and its counters: what became of every drop.

    Problems come first (!): a bridge that is not connected and why, a configuration that was
    refused, a destination that cannot be written.

    \b
    Examples:
    ryu-droplog status
    ryu-droplog status --json | jq .[].sinks
    """
    from ryu_droplog.runtime import status_page, status_socket

    with errors_in_one_line():
        directory = loader.run_directory(path)
    answers: list[dict[str, Any]] = []
    pages: list[str] = []
    outcomes: list[Exit] = []
    try:
        for answer in status_socket.ask(directory):
            problems = status_page.problems(answer)
            pages.append(status_page.as_text(answer))
            answers.append({**answer, "problems": problems})
            outcomes.append(Exit.ATTENTION if problems else Exit.WELL)
    except (LookupError, TypeError, AttributeError):
        click.echo("ryu-droplog: the answer of another version cannot be read", err=True)
        outcomes.append(Exit.ATTENTION)
    except DropLogError as error:
        if not answers:  # it may be the file that is wrong
            with errors_in_one_line():
                loader.load(path)
        click.echo(f"ryu-droplog: {error}", err=True)
        outcomes.append(Exit.UNREACHED)
    if as_json:
        click.echo(json.dumps(answers, indent=2))
    elif pages:
        click.echo(plain("\n\n".join(pages)))
    sys.exit(overall(outcomes))
