"""On which days the exchange was open: learned from bars, because no published calendar holds them all.

Weekend sessions, Diwali evenings and holidays announced a week before are in no library; an index
has a bar of each day with a session, and of no other.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, timedelta

from actors.market.instrument import Instrument

#: Its daily bars, a decade in one request, are the calendar of the segments that keep NSE's days.
REFERENCE = "NSE_INDEX|Nifty 50"
REFERENCE_INDEX = Instrument(REFERENCE, "NIFTY", "NSE", "NSE_INDEX", "INDEX", name="Nifty 50")
FOLLOWERS = frozenset({"NSE_EQ", "NSE_FO", "NSE_INDEX", "BSE_EQ", "BSE_FO", "BSE_INDEX"})

_DAY = timedelta(days=1)
_SATURDAY = 5


def follows_reference(instrument_key: str) -> bool:
    """Whether the reference's sessions are the instrument's too."""
    return instrument_key.partition("|")[0] in FOLLOWERS


def is_weekend(day: date) -> bool:
    return day.weekday() >= _SATURDAY


@dataclass(frozen=True, slots=True)
class SessionDays:
    """What is known of a stretch of days; of all others nothing is."""

    sessions: frozenset[date] = frozenset()
    known: tuple[tuple[date, date], ...] = ()  # ascending and apart, both ends included

    def had_session(self, day: date) -> bool | None:
        """None: nobody knows."""
        if day in self.sessions:
            return True
        place = bisect_right(self.known, day, key=lambda span: span[0]) - 1
        return False if place >= 0 and day <= self.known[place][1] else None

    def within(self, first: date, last: date) -> list[date]:
        """The sessions from `first` to `last`, both included, in order."""
        return sorted(day for day in self.sessions if first <= day <= last)

    def holidays(self, first: date, last: date) -> list[date]:
        """The days from `first` to `last` that are known to have been closed, weekends aside."""
        days = (first + n * _DAY for n in range((last - first).days + 1))
        return [day for day in days if not is_weekend(day) and self.had_session(day) is False]
