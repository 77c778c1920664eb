"""What a type of sink has for keys of its own in `sinks:` of droplog.yaml."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class SinkOptions(BaseModel):
    """Base of every `Options`: strictly typed, read-only, and without keys that nobody declared.

    Every field has a description, which the reference of the configuration shows, and a range or
    a pattern where not every value is good. A validator that refuses a value raises ValueError
    with what was expected as its text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
