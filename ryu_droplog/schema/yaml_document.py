"""One YAML document of a user: what it says, and on which line each of its keys stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from ryu_droplog.model.errors import ConfigError
from ryu_droplog.schema.wording import join, mistake
from ryu_droplog.schema.yaml_reader import new_reader

MOST_VALUES = 1_000_000
"""Values that a key may have in it, each alias counted for all that it stands for."""


class Item(int):
    """The place of an item in its list, as a step in the path of a value.

    Every other step is the key of a mapping.
    """


class Document:
    """What a YAML file says."""

    def __init__(self, text: str, source: str) -> None:
        """Read the one document in `text` (YAML 1.1, plain types only), the file named `source`.

        Raises ConfigError, with file and line, for what is not YAML, for types of other programs
        (`!!python/…`) and for a key that stands twice in a mapping.
        """
        self.source = source
        reader = new_reader()
        try:
            self._root = reader.compose(text)
            self._constructor = reader.constructor
            self.data: Any = (
                None if self._root is None else self._constructor.construct_document(self._root)
            )
            """None where the document is empty."""
        except ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise ConfigError(
                f"{source}:{line}: character U+{ord(text[error.position]):04X}; "
                "expected printable characters"
            ) from error
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark is not None else 1
            problem = f"{error.context}: {error.problem}" if error.context else error.problem
            raise ConfigError(f"{source}:{line}: {problem}") from error
        except YAMLError as error:
            raise ConfigError(f"{source}:1: {error}") from error
        except RecursionError as error:
            raise ConfigError(f"{source}: nested too deeply; expected a few levels") from error

    def line(self, path: Sequence[object]) -> int | None:
        """The line of the key at `path`, from 1; where it is missing, that of what it misses in.

        None where not even the first step is in the file, or where there is no file: what an
        option of a command says has the option's name for its source.
        """
        if self._root is None or self.source.startswith("--"):
            return None
        node = self._root
        line: int = node.start_mark.line + 1
        for depth, step in enumerate(path):
            if isinstance(node, MappingNode):
                entry = self._entry(node, step)
                if entry is None:
                    return line if depth else None
                mark, node = entry[0].start_mark, entry[1]
            elif isinstance(node, SequenceNode) and isinstance(step, Item):
                if not 0 <= step < len(node.value):
                    return line
                node = node.value[step]
                mark = node.start_mark
            else:
                return line
            line = mark.line + 1
        return line

    def mistake(self, path: Sequence[object], wrong: str, expected: str) -> ConfigError:
        """A ConfigError about the key at `path`; the rest is as for `wording.mistake`."""
        return mistake(self.source, key_text(path), wrong, expected, self.line(path))

    def bound(self, key: object) -> None:
        """Raise ConfigError where aliases make more than `MOST_VALUES` of what a key holds."""
        if _values(self.data[key], {}) > MOST_VALUES:
            wrong = f"aliases make more than {MOST_VALUES} values of it"
            raise self.mistake([key], wrong, "at most so many")

    def _entry(self, node: Any, key: object) -> tuple[Any, Any] | None:
        """Key and value of a mapping's key; of those that a merge brought, the one that counts."""
        for key_node, value_node in reversed(node.value):
            own = self._constructor.construct_object(key_node, deep=True)
            if type(own) is type(key) and own == key:
                return key_node, value_node
        return None


def key_text(path: Sequence[object]) -> str:
    """The path of a key as messages have it: `bridges[0].name`; empty for the whole file."""
    text = ""
    for step in path:
        text = f"{text}[{step:d}]" if isinstance(step, Item) else join(text, step)
    return text


def _values(data: Any, counts: dict[int, int]) -> int:
    """How many values `data` has in it, itself among them; more than the most in a circle."""
    if not isinstance(data, (dict, list)):
        return 1
    if id(data) not in counts:
        counts[id(data)] = MOST_VALUES + 1  # while it is being counted: it holds itself
        inner = data.values() if isinstance(data, dict) else data
        counts[id(data)] = 1 + sum(_values(each, counts) for each in inner)
    return counts[id(data)]
