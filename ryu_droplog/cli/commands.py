"""The `ryu-droplog` command, and where each of its commands is found."""

from __future__ import annotations

from importlib import import_module

import click

from ryu_droplog import __version__
from ryu_droplog.text.standard_files import see_that_they_are_open

COMMANDS = {
    "run": "run:run",
    "status": "status:status",
    "doctor": "doctor:doctor",
    "plan": "plan:plan",
    "clean": "clean:clean",
    "check-config": "check_config:check_config",
    "replay": "replay:replay",
    "events": "events:events",
    "send-test": "send_test:send_test",
    "record-schema": "record_schema:record_schema",
}
"""Name -> module in this package and the command in it. A module is loaded when it is needed."""


class _Commands(click.Group):
    """Looks its commands up in `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(import_module(f"ryu_droplog.cli.{module}"), name)
        assert isinstance(command, click.Command)
        return command


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ryu-droplog")
def main() -> None:
    """Log which packets Open vSwitch dropped, in which table, and which port or policy it concerns.

    The configuration is droplog.yaml: the file that --config names, else what RYU_DROPLOG_CONFIG
    names, else /etc/ryu-droplog/droplog.yaml where it exists, else the bridge br-int is taken with
    the defaults. RYU_DROPLOG_CONFIG set to nothing stands for no file at all.
    """
    see_that_they_are_open()
