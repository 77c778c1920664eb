"""Whether the program could write where its configuration has it write; nothing is written."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ryu_droplog.config.settings import Settings
from ryu_droplog.schema.wording import show
from ryu_droplog.text.printable import escape


def unwritable(settings: Settings) -> Iterator[str]:
    """What could not be written by the user of this process, with its key, each on one line.

    The log directory counts where drop lines go to a file, and so do files and directories of
    sinks.
    """
    for sink in settings.sinks:
        path = sink.options.file()
        problem = _of_file(path) if path is not None else ""
        if path is not None and problem:
            key = "log_directory" if path == settings.output else f"sinks[{show(sink.name)}]"
            yield f"{key}: {escape(path)} cannot be written: {problem}"
        directory = sink.options.directory()
        problem = _of_directory(directory) if directory is not None else ""
        if directory is not None and problem:
            key = f"sinks[{show(sink.name)}]"
            yield f"{key}: {escape(directory)} cannot be written: {problem}"
    problem = _of_directory(settings.run_directory)
    if problem:
        yield f"run_directory: {escape(settings.run_directory)} cannot be written: {problem}"


def _of_file(path: str) -> str:
    if not os.path.lexists(path):
        return _of_directory(os.path.dirname(path))
    if os.path.isdir(path):
        return "it is a directory"
    return "" if not os.path.exists(path) or _may(path, os.W_OK) else _reason(path)


def _of_directory(path: str) -> str:
    """What is wrong with a directory, which is made where it is missing; empty: nothing is."""
    there = path
    while not os.path.lexists(there) and there != os.path.dirname(there):
        there = os.path.dirname(there)
    if not os.path.isdir(there):
        return f"{escape(there)} is not a directory"
    if _may(there, os.W_OK | os.X_OK):
        return ""
    return _reason(there) if there == path else f"{escape(there)}: {_reason(there)}"


def _may(path: str, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _reason(path: str) -> str:
    try:
        read_only = os.statvfs(path).f_flag & os.ST_RDONLY
    except OSError:
        read_only = 0
    return "the file system is read-only" if read_only else "permission denied"
