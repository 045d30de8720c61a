"""What the table engine says of a table that is damaged, in the user's words. Pure."""

from __future__ import annotations

import re

_FILE = r"fetch metadata for file .*?(?P<what>(candles|chunks)/.+?\.parquet)"

#: As deltalake 1.6.6 words them, each tried; the first that fits.
_DAMAGES = (
    (rf"{_FILE}.* not found", "its file {what} is gone"),
    (rf"{_FILE}.*: (?P<why>[^:]+) \(os error \d+\)", "its file {what} cannot be read ({why})"),
    (_FILE, "its file {what} is damaged"),
    (r"Json error: (?P<what>[^;\n]*)", "its log is damaged ({what})"),
    (r"No table metadata or protocol found", "the beginning of its log is gone"),
)


def damage(message: str) -> str | None:
    """What is damaged; None if the engine speaks of something else."""
    for pattern, words in _DAMAGES:
        if found := re.search(pattern, message, re.DOTALL):
            return words.format_map(found.groupdict())
    return None
