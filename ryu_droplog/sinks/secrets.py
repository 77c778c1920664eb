"""Passwords and keys: by a file or the environment, read when they are needed, never shown."""

from __future__ import annotations

import os
from typing import Annotated, Any

from pydantic import Field, model_validator

from ryu_droplog.model.errors import ConfigError, why
from ryu_droplog.plugins.sink_options import SinkOptions
from ryu_droplog.schema.expected import Expected
from ryu_droplog.schema.fields import Directory

_LONGEST = 65_536
"""Bytes of a file with a secret, at most."""

Variable = Annotated[
    str,
    Field(pattern="^[A-Za-z_][A-Za-z0-9_]*$", max_length=255),
    Expected("the name of an environment variable"),
]


class Secret:
    """A text that is not shown by accident: neither `str` nor `repr` tells it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for whoever has to send it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(...)"

    __str__ = __repr__

    def __reduce__(self) -> Any:
        raise TypeError("a secret is not written anywhere")


class PasswordOptions(SinkOptions):
    """The keys `password_file` and `password_env`, of which one at most may be given."""

    password_file: Directory | None = Field(
        default=None,
        description="a file with the password, without the line's end; read at each connection",
    )
    password_env: Variable | None = Field(
        default=None, description="the environment variable that holds the password"
    )

    @model_validator(mode="after")
    def _one_password(self) -> PasswordOptions:
        if self.password_file is not None and self.password_env is not None:
            raise ValueError("either password_file or password_env")
        return self

    def password(self) -> Secret | None:
        """The password, read now; None: none is configured. Raises as `read_secret`."""
        return read_secret("password", self.password_file, self.password_env)


def read_secret(key: str, file: str | None, variable: str | None) -> Secret | None:
    """The secret in a file, or in a variable; None where neither is given.

    `key` is what the keys of the configuration begin with. One line's end at the end of the file is
    none of it. Raises ConfigError, which names the file or variable and nothing of its content.
    """
    if file is not None:
        try:
            with open(file, "rb") as stream:
                data = stream.read(_LONGEST + 1)
        except OSError as error:
            raise ConfigError(f"{key}_file: {file} cannot be read: {why(error)}") from error
        if len(data) > _LONGEST:
            raise ConfigError(f"{key}_file: {file}: expected {_LONGEST} bytes at most")
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            raise ConfigError(f"{key}_file: {file}: expected text in UTF-8") from None
        text = text.removesuffix("\n").removesuffix("\r")
        if not text:
            raise ConfigError(f"{key}_file: {file} is empty")
        return Secret(text)
    if variable is not None:
        text = os.environ.get(variable, "")
        if not text:
            raise ConfigError(f"{key}_env: the environment variable {variable} is not set")
        return Secret(text)
    return None
