"""The command `ryu-droplog record-schema`."""

from __future__ import annotations

from importlib import resources

import click


@click.command("record-schema")
def record_schema() -> None:
    """Print the JSON Schema of a record, as the encoding `native` writes it.

    docs/record.md explains each key.

    \b
    Examples:
    ryu-droplog record-schema > record.schema.json
    """
    schema = resources.files("ryu_droplog.records").joinpath("record.schema.json")
    click.echo(schema.read_text(encoding="utf-8"), nl=False)
