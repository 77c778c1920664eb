"""One tree of errors: whoever catches `DropLogError` catches all that this program raises."""

from __future__ import annotations

import os

from ryu_droplog.text.printable import escape


class DropLogError(Exception):
    """Base of every error that is meant to reach the user, as one line of text."""

    def __str__(self) -> str:
        """The text; what a terminal would obey in it is escaped, for parts of it are others'."""
        return escape(super().__str__())


class ConfigError(DropLogError):
    """A file that the user wrote is wrong.

    The text names the file, the key's full path, the value and what was expected.
    """


class SwitchError(DropLogError):
    """The switch refused a request, answered wrongly, or went away."""


class Unreachable(SwitchError):
    """There is no way to the switch: nobody there who could be asked."""


class SwitchRefusal(SwitchError):
    """The switch refused one thing; the rest goes on without."""


class SwitchTimeout(SwitchError):
    """The switch did not answer within the time it was given."""


class MalformedMessage(DropLogError):
    """A message from the switch contradicts itself: a length in it leads past its bytes, say."""


def why(error: OSError) -> str:
    """The reason of an OSError in words; eventlet's sockets leave them out."""
    return os.strerror(error.errno) if error.errno else str(error)
