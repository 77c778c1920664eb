"""What a YAML document says, as a pydantic model; every mistake is named with file, line and key.

pydantic finds the mistakes. Its words are for programmers, so they are put in others here: what was
expected is told from the model, and the value as YAML writes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ryu_droplog.model.errors import ConfigError
from ryu_droplog.schema.expected import (
    Kind,
    arguments,
    expected,
    items_of,
    kind_of_field,
    mapping_of,
    model_of,
    said,
)
from ryu_droplog.schema.wording import mistake, nearest, show
from ryu_droplog.schema.yaml_document import Document, Item, key_text

M = TypeVar("M", bound=BaseModel)

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)
"""For models of files: read-only, no key that is not declared, and no value of another type.

What checks a model is built when the model is first used: it takes longer than reading a file.
"""


_MISSING = "missing"
_UNKNOWN = ("extra_forbidden", "invalid_key")
"""What pydantic calls a key that nobody declared, and one that is not even a string."""


class Mistakes(ConfigError):
    """What is wrong in a file: the text is the first mistake, and how many there are besides."""

    def __init__(self, mistakes: Sequence[ConfigError]) -> None:
        first, more = str(mistakes[0]), len(mistakes) - 1
        besides = f" (and {more} more mistake{'s' if more > 1 else ''})" if more else ""
        super().__init__(first + besides)
        self.mistakes = tuple(mistakes)


class _Mistake(NamedTuple):
    path: tuple[object, ...]
    wrong: str
    expected: str
    place: tuple[object, ...]
    """Whose line it is: inside of `path`, for a mistake that is told as one of the whole value."""
    unknown: bool = False
    """Whether the path ends with a key that nobody declared."""


def convert(
    document: Document,
    model: type[M],
    data: Any,
    path: Sequence[object] = (),
    context: object = None,
) -> M:
    """`data`, which stands at `path` in the document, as a `model`.

    `context` is for the validators of the model.

    Raises ConfigError for what is wrong in it: `Mistakes`, where it has to be looked at whole.
    """
    if not path and isinstance(data, dict):
        for key in data:
            if key in model.model_fields:
                document.bound(key)
    try:
        return model.model_validate(data, context=context)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
    mistakes = [_explain(problem, model, data, tuple(path)) for problem in problems]
    lines = {each.place: document.line(each.place) or 0 for each in mistakes}
    mistakes.sort(key=lambda each: lines[each.place])
    raise Mistakes(
        [
            mistake(
                document.source,
                key_text(each.path),
                each.wrong,
                each.expected,
                lines[each.place] or None,
            )
            for each in _without_consequences(mistakes)
        ]
    )


def _explain(problem: Any, model: type[BaseModel], data: Any, path: tuple[object, ...]) -> _Mistake:
    """One error of pydantic, in the words of the file."""
    kind = Kind(model)
    whole: tuple[tuple[object, ...], Kind, Any] | None = None
    steps = problem["loc"]
    for depth, step in enumerate(steps):
        if whole is None and (telling := said(kind)) is not None and telling.whole:
            whole = path, kind, data
        inner, items, free = model_of(kind), items_of(kind), mapping_of(kind)
        last = depth == len(steps) - 1
        if inner is not None and isinstance(data, dict) and step in inner.model_fields:
            path, kind = (*path, step), kind_of_field(inner.model_fields[step])
            if step not in data:
                return _Mistake(path, _MISSING, expected(kind), path)
            data = data[step]
        elif inner is not None and isinstance(data, dict) and last and problem["type"] in _UNKNOWN:
            known = list(inner.model_fields)
            key = _key(data.keys() - inner.model_fields.keys(), step)
            path = (*path, key)
            wrong = f"unknown key{nearest(key, known)}"
            return _Mistake(path, wrong, f"one of {', '.join(known)}", path, True)
        elif items is not None and isinstance(data, list) and isinstance(step, int):
            path, kind, data = (*path, Item(step)), items, data[step]
        elif free is not None and isinstance(data, dict):
            key = _key(data, step)
            path = (*path, key)
            if whole is None and steps[depth + 1 :] == ("[key]",):
                telling = said(free)
                name = telling.key if telling is not None else "key"
                wrong = f"got the {name} {show(key)}"
                return _Mistake(path, wrong, expected(arguments(free)[0]), path)
            kind, data = arguments(free)[1], data.get(key)
    place = path
    if whole is not None:
        path, kind, data = whole
    reason = problem.get("ctx", {}).get("error")
    return _Mistake(path, f"got {show(data)}", str(reason) if reason else expected(kind), place)


def _key(keys: Iterable[Any], step: object) -> Any:
    """The key that pydantic calls `step`: it has no more than the text of some that are none."""
    for key in keys:
        if type(key) is type(step) and key == step:
            return key
    return next((key for key in keys if key == step or str(key) == str(step)), step)


def _without_consequences(mistakes: Sequence[_Mistake]) -> list[_Mistake]:
    """One mistake a key, and none that only follows from another.

    A union tells what each of its types has against a value: what is said of a key inside counts
    more than that the value as a whole is none of the others. A key that is missing because it is
    written wrongly is no second mistake.
    """
    deeper = {each.path[:length] for each in mistakes for length in range(len(each.path))}
    unknown = {each.path[:-1] for each in mistakes if each.unknown}
    kept: dict[tuple[object, ...], _Mistake] = {}
    for each in mistakes:
        follows = each.path in deeper or (each.wrong == _MISSING and each.path[:-1] in unknown)
        if not follows:
            kept.setdefault(each.path, each)
    return list(kept.values())
