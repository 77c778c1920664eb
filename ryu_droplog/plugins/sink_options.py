"""What a type of sink has for keys of its own in `sinks:` of droplog.yaml."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from ryu_droplog.schema.expected import Expected


class OptionsContext(NamedTuple):
    """What validators of `Options` have as the `context` of their ValidationInfo.

    It is None where the options are not made of a file.
    """

    log_directory: str
    format: str
    """The key `format` of droplog.yaml."""
    given_format: str | None = None
    """The same where the file has the key; None: it has not."""


class SinkOptions(BaseModel):
    """Base of every `Options`: strictly typed, read-only, and without keys that nobody declared.

    Every field has a description, which the reference of the configuration shows, and a range or
    a pattern where not every value is good. A validator that refuses a value raises ValueError
    with what was expected as its text. The keys `name`, `type`, `filters` and `queue` belong to
    every sink.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    def file(self) -> str | None:
        """Absolute path of the file that such a sink writes, for `check-config`; None: none."""
        return None

    def directory(self) -> str | None:
        """Absolute path of the directory where it keeps what it has to, as `file`."""
        return None


class LineOptions(SinkOptions):
    """Options of a sink that writes lines."""

    encode: Literal["opflex", "extended", "json"] = Field(
        default="opflex", description="how a drop is written; by default as the key `format` says"
    )

    @model_validator(mode="before")
    @classmethod
    def _encode_as_format_says(cls, data: Any, info: ValidationInfo) -> Any:
        if isinstance(info.context, OptionsContext) and isinstance(data, dict):
            return {"encode": info.context.format, **data}
        return data


def _check_encoding(name: str) -> str:
    from ryu_droplog.plugins.parts import ENCODERS  # which knows keys of filters, too

    if name not in ENCODERS:
        raise ValueError(f"one of {', '.join(ENCODERS.names())}")
    return name


Encoding = Annotated[
    str, AfterValidator(_check_encoding), Expected("the name of an encoding, such as native, ecs")
]
"""The name of an encoding (`plugins.parts.ENCODERS`)."""


def _below_log_directory(path: str, info: ValidationInfo) -> str:
    if not path.startswith("/") and isinstance(info.context, OptionsContext):
        path = os.path.join(info.context.log_directory, path)
    if ".." in path.split("/") or path.endswith(("/", "/.")):
        raise ValueError("the path of a file, absolute or inside log_directory")
    return path


LogPath = Annotated[
    str,
    Field(pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$", max_length=4095),
    AfterValidator(_below_log_directory),
    Expected("the path of a file, absolute or inside log_directory"),
]
"""The path of a file that a sink writes; one that is not absolute is below `log_directory`."""
