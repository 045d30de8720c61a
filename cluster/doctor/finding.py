from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from rich.text import Text

from actors.market.errors import CandlefleetError
from cluster.wording import printable


class Grade(StrEnum):
    OK = "ok"
    NOTE = "note"  # a scan works all the same
    PROBLEM = "problem"  # it would not, or not wholly


_STYLES = {Grade.OK: "green", Grade.NOTE: "yellow", Grade.PROBLEM: "bold red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """About one thing."""

    about: str
    said: str
    grade: Grade = Grade.OK
    remedy: str = ""

    def in_words(self) -> Text:
        """A line, and one more for what to do."""
        line = Text(f"{self.grade:<8}", style=_STYLES[self.grade])
        line.append(f" {self.about:<13} {printable(self.said)}", style="default")
        return line.append(f"\n{'':<22} -> {self.remedy}") if self.remedy else line

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


Check = Callable[[], Finding | Iterable[Finding]]


def carried_out(about: str, check: Check) -> Iterator[Finding]:
    """What the check finds; that it could not be made is a finding too."""
    try:
        found = check()
        yield from [found] if isinstance(found, Finding) else found
    except CandlefleetError as error:
        yield Finding(about, str(error), Grade.PROBLEM)
