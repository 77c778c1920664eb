"""The `ryu-droplog` command, and where each of its commands is found."""

from __future__ import annotations

import click

from ryu_droplog import __version__
from ryu_droplog.plugins.registry import Registry
from ryu_droplog.text.standard_files import see_that_they_are_open

COMMANDS: Registry[click.Command] = Registry(
    "command",
    {
        "run": "ryu_droplog.cli.run:run",
        "observe": "ryu_droplog.cli.observe:observe",
        "top": "ryu_droplog.cli.top:top",
        "status": "ryu_droplog.cli.status:status",
        "ack": "ryu_droplog.cli.ack:ack",
        "web": "ryu_droplog.cli.web:web",
        "explain": "ryu_droplog.cli.explain:explain",
        "doctor": "ryu_droplog.cli.doctor:doctor",
        "plan": "ryu_droplog.cli.plan:plan",
        "clean": "ryu_droplog.cli.clean:clean",
        "check-config": "ryu_droplog.cli.check_config:check_config",
        "replay": "ryu_droplog.cli.replay:replay",
        "events": "ryu_droplog.cli.events:events",
        "send-test": "ryu_droplog.cli.send_test:send_test",
        "completion": "ryu_droplog.cli.completion:completion",
        "record-schema": "ryu_droplog.cli.record_schema:record_schema",
    },
    group="ryu_droplog.commands",
)
"""Each is a command of click. Its module is loaded when it is needed."""


class _Commands(click.Group):
    """Looks its commands up in `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return COMMANDS.names()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        try:
            return COMMANDS.get(cmd_name)
        except LookupError:
            return None
        except Exception as error:
            if cmd_name in COMMANDS.own_names():
                raise
            return _broken(cmd_name, error)


def _broken(name: str, error: Exception) -> click.Command:
    """Stands for a command of another package that cannot be loaded: it says so, and fails."""
    reason = f"cannot be loaded: {error or type(error).__name__}"

    def fail() -> None:
        raise click.ClickException(f"{name}: {reason}")

    settings = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(name, callback=fail, short_help=reason, context_settings=settings)


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ryu-droplog")
def main() -> None:
    """Log which packets Open vSwitch dropped, in which table, and which port or policy it concerns.

    The configuration is droplog.yaml: the file that --config names, else what RYU_DROPLOG_CONFIG
    names, else /etc/ryu-droplog/droplog.yaml where it exists, else the bridge br-int is taken with
    the defaults. RYU_DROPLOG_CONFIG set to nothing stands for no file at all.
    """
    see_that_they_are_open()
