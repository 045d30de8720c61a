from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

_LABEL = re.compile(r"(\d+)\s*(minute|hour|day|week|month)s?", re.IGNORECASE)
_MINUTES_AN_HOUR = 60


class Unit(StrEnum):
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Timeframe:
    """A candle's length: `Timeframe(Unit.MINUTE, 5)` is labelled `5minute`."""

    unit: Unit
    interval: int

    @classmethod
    def parse(cls, label: str) -> Timeframe:
        """Read `5minute`, `5 minutes`, `1Day`. Raises ValueError on anything else."""
        found = _LABEL.fullmatch(label.strip())
        if found is None or int(found[1]) == 0:
            raise ValueError(
                f"{label!r} is no timeframe; write one like 1minute, 5minute, 1hour, 1day"
            )
        return cls(Unit(found[2].lower()), int(found[1]))

    @property
    def label(self) -> str:
        return f"{self.interval}{self.unit}"

    @property
    def is_intraday(self) -> bool:
        return self.unit in (Unit.MINUTE, Unit.HOUR)

    @property
    def minutes(self) -> int:
        """Length in minutes; only intraday timeframes have one."""
        if not self.is_intraday:
            raise ValueError(f"{self.label} is not measured in minutes")
        return self.interval * (_MINUTES_AN_HOUR if self.unit is Unit.HOUR else 1)

    def bar_days(self, day: date) -> tuple[date, date]:
        """First and last calendar day (both included) of the bar that `day` belongs to."""
        if self.unit is Unit.WEEK:
            monday = day - timedelta(days=day.weekday())
            return monday, monday + timedelta(days=6)
        if self.unit is Unit.MONTH:
            next_month = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
            return day.replace(day=1), next_month - timedelta(days=1)
        return day, day

    def period(self, day: date) -> str:
        """Partition of the store that `day` falls into: `2024-01` below a day, `2024` from a day up."""
        return f"{day:%Y-%m}" if self.is_intraday else f"{day:%Y}"

    def __str__(self) -> str:
        return self.label


DAILY = Timeframe(Unit.DAY, 1)
