"""The command `ryu-droplog run`."""

from __future__ import annotations

import logging

import click

from ryu_droplog.cli.arguments import config_option
from ryu_droplog.cli.visiting import errors_in_one_line
from ryu_droplog.concurrency import hubs
from ryu_droplog.text import plain_log
from ryu_droplog.text.standard_files import standard_error


@click.command()
@config_option("path", "droplog.yaml")
@click.option("-v", "--verbose", is_flag=True, help="Log more (level DEBUG).")
def run(path: str | None, verbose: bool) -> None:
    """Attach to the bridges and log their drops, until SIGTERM or SIGINT.

    Drop lines go where the configuration says (standard output by default), the program's own log
    goes to standard error. Every flow and meter that it adds to a bridge is removed when it stops.

    Exit status: 0 all is removed, 1 something may still be on a bridge (the log says what, and the
    clean-up process goes on trying for a minute), 2 the configuration or the command line is
    wrong.

    \b
    Examples:
    sudo ryu-droplog run
    sudo ryu-droplog run --config droplog.yaml --verbose
    """
    with errors_in_one_line():
        from ryu_droplog.runtime import manager

    from ryu_droplog.config import loader
    from ryu_droplog.pipelines.loader import load_pipelines

    plain_log.set_up(verbose=verbose)
    standard_error(hubs.real_threading()).take_over(logging.getLogger().handlers)
    if not verbose:
        logging.getLogger("os_ken").setLevel(logging.WARNING)
    with errors_in_one_line():
        settings = loader.load(path)
        loader.check_pipelines(settings, load_pipelines(settings.pipeline_directory))
    manager.run_droplog(path)
