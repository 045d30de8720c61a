from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Clock:
    """The time, by this machine. One that is `ahead` of it tells of days gone by, or to come.

    With that a run can be tried out on them: it passes as time does.
    """

    ahead: timedelta = timedelta(0)

    @classmethod
    def at(cls, moment: datetime) -> Clock:
        """One that shows `moment` now."""
        return cls(moment - datetime.now(UTC))

    def now(self) -> datetime:
        """In UTC."""
        return datetime.now(UTC) + self.ahead


MACHINE = Clock()
