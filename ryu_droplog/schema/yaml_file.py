"""YAML files that a user writes, and the words of their mistakes: names from one place."""

from ryu_droplog.schema.text_file import FIFO_TIME, LARGEST, read
from ryu_droplog.schema.wording import join, mistake, nearest, show

__all__ = ["FIFO_TIME", "LARGEST", "join", "mistake", "nearest", "read", "show"]
