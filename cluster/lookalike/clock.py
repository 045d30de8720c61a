from __future__ import annotations

from datetime import date, datetime, timedelta

from cluster.lookalike.settings import IST


class Clock:
    """The exchange's own time. Knows real time only as the seconds it is handed."""

    def __init__(self, start: datetime, rate: float, real_s: float) -> None:
        self._start = start
        self._rate = rate
        self._real_s = real_s

    def set(self, start: datetime, real_s: float) -> None:
        self._start = start
        self._real_s = real_s

    def now(self, real_s: float) -> datetime:
        passed = timedelta(seconds=(real_s - self._real_s) * self._rate)
        return (self._start + passed).astimezone(IST)


def day_and_second(now: datetime) -> tuple[date, int]:
    """The IST day and how many seconds of it have passed."""
    local = now.astimezone(IST)
    return local.date(), local.hour * 3600 + local.minute * 60 + local.second
