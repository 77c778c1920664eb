"""The command `ryu-droplog replay`."""

from __future__ import annotations

import sys

import click

from ryu_droplog.cli.arguments import config_option
from ryu_droplog.cli.visiting import errors_in_one_line
from ryu_droplog.config import loader
from ryu_droplog.pipelines.loader import load_pipelines


@click.command()
@click.argument("path", metavar="FILE", type=click.Path())
@config_option(
    "config_path", "droplog.yaml: its pipelines, prefixes, filters and the section opflex"
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["opflex", "extended", "json", "event"]),
    help="How a drop is written; event is the packet event, an object a line."
    " Default: as droplog.yaml says, opflex without one.",
)
@click.option(
    "--prune/--no-prune",
    default=True,
    show_default=True,
    help="Filter link-local control traffic, and what the filters of droplog.yaml match.",
)
def replay(path: str, config_path: str | None, form: str | None, prune: bool) -> None:
    """Write the drops whose logs are in FILE, a pcap or pcapng capture, with the capture's time.

    A drop log is what the switch of an OpFlex agent sends: Geneve in UDP, to port 6081 or 50000.
    FILE may be compressed by gzip, and may be - for standard input, also live.

    Of a drop log that the capture has cut (tcpdump -s, editcap -s), what is there is written, with
    TRUNCATED behind it; what a missing option would say counts as not recorded.

    A summary is written to standard error. Exit status: 0 all was read, also where it had no drop
    log, 1 the capture is damaged (what could be read is written) or cannot be read, 2 the
    configuration or the command line is wrong.

    \b
    Examples:
    ryu-droplog replay drops.pcap
    tcpdump -U -i lo -w - udp port 50000 | ryu-droplog replay -
    ryu-droplog replay drops.pcapng.gz --format json --no-prune
    """
    from ryu_droplog.sources.pcap_replay import replay as play

    with errors_in_one_line():
        settings = loader.load(config_path)
        pipelines = load_pipelines(settings.pipeline_directory)
        loader.check_pipelines(settings, pipelines)
    sys.exit(play(path, settings, pipelines, form or settings.format, prune))
