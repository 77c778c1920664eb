"""The `ryu-droplog` command."""

from ryu_droplog.cli.commands import main

__all__ = ["main"]
