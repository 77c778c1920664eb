"""The file of known drops: what stands in it, and how entries come in and go, the rest as it was.

A mapping of signatures and problems, each an entry of its own block, so that two who add to it in
git meet no conflict. Comments and the order of the user's stay as they are.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.scalarstring import DoubleQuotedScalarString
from ruamel.yaml.tokens import CommentToken

from ryu_droplog.model.errors import ConfigError, why
from ryu_droplog.records.acknowledged import KEY, Entry
from ryu_droplog.schema import text_file
from ryu_droplog.schema.convert import STRICT, Mistakes, convert
from ryu_droplog.schema.expected import Expected
from ryu_droplog.schema.wording import show
from ryu_droplog.schema.yaml_document import Document

KEYS = (
    "a signature or a problem of a record, 1: and 32 hexadecimal digits, or a problem of doctor,"
    " doctor: and 16"
)
_HEAD = "# Known drops, by signature or problem; `ryu-droplog ack` writes here.\n"


def _day(value: object) -> object:
    """A day may be in quotes, too."""
    if isinstance(value, str):
        with suppress(ValueError):
            return date.fromisoformat(value)
    return value


_Day = Annotated[date, BeforeValidator(_day), Expected("a day such as 2026-12-31")]
_Text = Annotated[str, Field(min_length=1, max_length=1000), Expected("a text")]


class EntryKeys(BaseModel):
    """What stands in an entry."""

    model_config = STRICT

    reason: _Text = Field(description="why it is left as it is")
    until: _Day | None = Field(default=None, description="the last day for which that holds, UTC")
    by: _Text | None = Field(default=None, description="who says so")
    since: _Day | None = Field(default=None, description="when that was said")


def read(path: str) -> dict[str, Entry]:
    """The entries in the file, in its order. Raises ConfigError, which names file, line and key."""
    return parse(text_file.read(path), path)


def parse(text: str, source: str) -> dict[str, Entry]:
    """The entries in the text of a file named `source`; raises as `read`."""
    document = Document(text, source)
    data = document.data
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise document.mistake([], f"got {show(data)}", "a mapping of signatures or problems")
    found: dict[str, Entry] = {}
    mistakes: list[ConfigError] = []
    for key, value in data.items():
        if not isinstance(key, str) or not KEY.fullmatch(key):
            mistakes.append(document.mistake([key], "is no key of a drop", KEYS))
            continue
        try:
            document.bound(key)
            keys = convert(document, EntryKeys, value, [key])
        except Mistakes as error:
            mistakes += error.mistakes
        except ConfigError as error:
            mistakes.append(error)
        else:
            found[key] = Entry(keys.reason, keys.until, keys.by or "", keys.since)
    if mistakes:
        raise Mistakes(mistakes)
    return found


def acknowledge(path: str, key: str, entry: Entry) -> bool:
    """Put an entry into the file, or change the one that is there; whether it was there.

    Raises ConfigError where the file is broken or cannot be written; then it is as it was.
    """
    text = _text(path)
    before = parse(text, path)
    made = _changed(text, key, entry) if key in before else _added(text, before, key, entry)
    _write(path, made, {**before, key: entry})
    return key in before


def remove(path: str, key: str) -> bool:
    """Take an entry out of the file; whether it was there. Raises as `acknowledge`."""
    text = _text(path)
    before = parse(text, path)
    if key not in before:
        return False
    lines = text.splitlines(keepends=True)
    places = _places(text)
    begins = places[key]
    later = [place for place in places.values() if place > begins]
    ends = _above(lines, min(later)) if later else len(lines)
    while ends > begins + 1 and not later and _is_apart(lines[ends - 1]):
        ends -= 1  # what the user says at the end of the file stays
    del before[key]
    _write(path, "".join(lines[:begins] + lines[ends:]), before)
    return True


def _text(path: str) -> str:
    return text_file.read(path) if os.path.lexists(path) else ""


def _fields(entry: Entry) -> dict[str, Any]:
    """Texts in quotes, whatever they say: `no` and `2026` are words of YAML, too.

    Days of their own: of one that stands twice, YAML would make an anchor and an alias.
    """
    told: dict[str, Any] = {"reason": DoubleQuotedScalarString(entry.reason)}
    if entry.until is not None:
        told["until"] = entry.until.replace()
    if entry.by:
        told["by"] = DoubleQuotedScalarString(entry.by)
    if entry.since is not None:
        told["since"] = entry.since.replace()
    return told


def _yaml() -> YAML:
    """Keeps comments, quotes and order."""
    yaml = YAML(typ="rt", pure=True)
    yaml.preserve_quotes = True
    yaml.allow_unicode = True
    yaml.width = 10_000
    return yaml


def _dumped(data: Any) -> str:
    stream = io.StringIO()
    _yaml().dump(data, stream)
    return stream.getvalue()


def _changed(text: str, key: str, entry: Entry) -> str:
    data = _yaml().load(text)
    block, wanted = data[key], _fields(entry)
    last = list(block)[-1]
    for name in [name for name in block if name not in wanted]:
        del block[name]
    for place, (name, value) in enumerate(wanted.items()):
        if name not in block:
            block.insert(min(place, len(block)), name, value)
        elif block[name] != value:
            block[name] = value
    _move_below(block.ca.items, last, list(block)[-1])
    return _dumped(data)


def _move_below(comments: dict[str, list[Any]], last: str, now_last: str) -> None:
    """What stood below the last field, above the next entry, stands below another one now."""
    if last == now_last or last not in comments:
        return
    token = comments.pop(last)[2]
    beside, end, below = token.value.partition("\n")
    if beside:
        comments[last] = [None, None, CommentToken(beside + end, token.start_mark, None), None]
    if below:
        comments[now_last] = [None, None, CommentToken(end + below, token.start_mark, None), None]


def _added(text: str, before: Mapping[str, Entry], key: str, entry: Entry) -> str:
    """By order of the keys, before the first that is greater; with what the user says above it."""
    block = _dumped(CommentedMap({key: _fields(entry)}))
    if not text.strip():
        return _HEAD + block
    lines = text.splitlines(keepends=True)
    if not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    greater = [place for other, place in _places(text).items() if other > key]
    place = _above(lines, min(greater)) if greater else len(lines)
    while before and not greater and _is_apart(lines[place - 1]):
        place -= 1
    return "".join([*lines[:place], block, *lines[place:]])


def _places(text: str) -> dict[str, int]:
    """On which line each entry begins, from 0."""
    data = _yaml().load(text)
    return {key: data.lc.key(key)[0] for key in data} if isinstance(data, CommentedMap) else {}


def _above(lines: list[str], place: int) -> int:
    """Where what the user says just above an entry begins; it is the first line of all, maybe."""
    while place > 1 and lines[place - 1].startswith("#"):
        place -= 1
    return place


def _is_apart(line: str) -> bool:
    return not line.strip() or line.startswith("#")


def _write(path: str, text: str, wanted: Mapping[str, Entry]) -> None:
    """As a whole or not at all, and only what says what is wanted; rights and owner stay."""
    try:
        says: Mapping[str, Entry] | None = parse(text, path)
    except ConfigError:
        says = None
    if says != wanted:
        raise ConfigError(f"{path}: is written in a way that is not understood; change it by hand")
    target = os.path.realpath(path)
    try:
        _replace(target, text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {why(error)}") from error


def _replace(target: str, text: str) -> None:
    handle, made = tempfile.mkstemp(prefix=".baseline-", dir=os.path.dirname(target))
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            mode = 0o644
            with suppress(FileNotFoundError):
                there = os.stat(target)
                mode = there.st_mode & 0o7777
                with suppress(PermissionError):
                    os.fchown(file.fileno(), there.st_uid, there.st_gid)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        os.rename(made, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(made)
        raise
