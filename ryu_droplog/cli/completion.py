"""The command `ryu-droplog completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

PROGRAM = "ryu-droplog"
VARIABLE = "_RYU_DROPLOG_COMPLETE"
"""Name of the variable by which the script asks the command, as click derives it."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete commands, options and names of the configuration.

    bash needs version 4.4 or later. The script asks ryu-droplog itself, so it stays true.

    \b
    Examples:
    source <(ryu-droplog completion bash)
    ryu-droplog completion bash > /etc/bash_completion.d/ryu-droplog
    ryu-droplog completion zsh > "${fpath[1]}/_ryu-droplog"
    ryu-droplog completion fish > ~/.config/fish/completions/ryu-droplog.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None, shell
    click.echo(kind(ctx.find_root().command, {}, PROGRAM, VARIABLE).source())
