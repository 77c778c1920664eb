"""The manual page: what `--help` says of each command, in the language of man(7).

tools/manual-page writes docs/man/ryu-droplog.1 from it; a test holds the page to it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence

import click

from ryu_droplog import __version__
from ryu_droplog.cli.commands import COMMANDS, main

NAME = "ryu-droplog"
DATE = "2026-11-25"
"""When the page was last read through as a whole; man(7) wants a day."""
_EXAMPLES = "Examples:"
_VERBATIM = "\b"
"""What stands alone on the first line of a paragraph whose lines are not filled."""
_HELP = ("-h, --help", "Show this message and exit.")
"""Of every command; click remembers with which names one was first asked for it."""
_FILES = (
    ("/etc/ryu-droplog/droplog.yaml", "the configuration, where no other is named"),
    ("/run/ryu-droplog", "locks and sockets of the running program"),
    ("/var/log/ryu-droplog", "where files of drop lines are"),
)
_ENVIRONMENT = (
    ("RYU_DROPLOG_CONFIG", "the configuration; empty: none"),
    ("OVS_RUNDIR", "where Open vSwitch has its sockets"),
    ("NODE_NAME", "the name of this node in records"),
)


def manual() -> str:
    """The page of all commands of the project itself."""
    lines = [
        f'.TH RYU\\-DROPLOG 1 "{DATE}" "ryu_droplog {__version__}" "User Commands"',
        ".SH NAME",
        f"{_text(NAME)} \\- log which packets Open vSwitch dropped, and why",
        ".SH SYNOPSIS",
        f".B {_text(NAME)}",
        "[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]",
        ".SH DESCRIPTION",
        *_paragraphs(main.help or ""),
        ".SH OPTIONS",
        *_options(main, _context()),
        ".SH COMMANDS",
    ]
    for name in COMMANDS.own_names():
        lines += _command(name, COMMANDS.get(name))
    lines += [".SH FILES", *_table(_FILES), ".SH ENVIRONMENT", *_table(_ENVIRONMENT)]
    lines += [
        ".SH SEE ALSO",
        "The documents that are installed beside the program, in share/doc/ryu\\-droplog;",
        ".BR ovs\\-vsctl (8),",
        ".BR ovs\\-ofctl (8),",
        ".BR ovs\\-fields (7).",
    ]
    return "\n".join(lines) + "\n"


def _command(name: str, command: click.Command) -> Iterator[str]:
    ctx = click.Context(command, info_name=name, parent=_context())
    yield f'.SS "{_text(name)}"'
    yield f".B {_text(f'{NAME} {name}')}"
    yield _text(" ".join(command.collect_usage_pieces(ctx)))
    yield from _paragraphs(command.help or "", begins=True)
    yield ".PP"
    yield "Options:"
    yield from _options(command, ctx)
    if command.epilog:
        yield from _paragraphs(command.epilog, begins=True)


def _context() -> click.Context:
    return click.Context(main, info_name=NAME, **main.context_settings)


def _options(command: click.Command, ctx: click.Context) -> Iterator[str]:
    records = [parameter.get_help_record(ctx) for parameter in command.params]
    yield from _table([*(record for record in records if record is not None), _HELP])


def _table(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    for term, text in rows:
        yield ".TP"
        yield f"\\fB{_text(term)}\\fR"
        yield _text(" ".join(text.split()))


def _paragraphs(text: str, *, begins: bool = False) -> Iterator[str]:
    """`begins`: with one between this and what stands before."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        lines = paragraph.strip("\n").split("\n")
        if begins:
            yield ".PP"
        begins = True
        if lines[0].strip() != _VERBATIM:
            yield _text(" ".join(paragraph.split()))
            continue
        lines = lines[1:]
        if lines and lines[0] == _EXAMPLES:
            yield _EXAMPLES
            lines = lines[1:]
        yield from (".PP", ".RS 4", ".nf", *map(_text, lines), ".fi", ".RE")


def _text(text: str) -> str:
    """Text as it stands, whatever man(7) would make of it; a hyphen stays one that is typed."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("\N{HORIZONTAL ELLIPSIS}", "...")
    for character, escape in (("'", "\\(aq"), ("`", "\\(ga"), ("^", "\\(ha"), ("~", "\\(ti")):
        text = text.replace(character, escape)
    return f"\\&{text}" if text.startswith(".") else text
