"""Which days the exchange is open, and from when to when.

Closed days of 2022 to 2026 are NSE's, from memory of its yearly circulars; other years carry the
five that never move. The weekend sessions and Diwali evenings are real days, their hours about so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import numpy as np
import numpy.typing as npt

FIRST_DAY = date(2000, 1, 3)  # first daily bar of the real service
FIRST_MINUTE_DAY = date(2022, 1, 1)  # minutes and hours are not served before
LAST_DAY = date(2032, 12, 31)  # the market is made up to here

_EPOCH = date(1970, 1, 1)
_SATURDAY = 5

_FIXED = {
    (1, 26): "Republic Day",
    (5, 1): "Maharashtra Day",
    (8, 15): "Independence Day",
    (10, 2): "Mahatma Gandhi Jayanti",
    (12, 25): "Christmas",
}
_LISTED = {
    2022: {
        "01-26": "Republic Day",
        "03-01": "Mahashivratri",
        "03-18": "Holi",
        "04-14": "Dr. Baba Saheb Ambedkar Jayanti",
        "04-15": "Good Friday",
        "05-03": "Id-Ul-Fitr",
        "08-09": "Moharram",
        "08-15": "Independence Day",
        "08-31": "Ganesh Chaturthi",
        "10-05": "Dussehra",
        "10-24": "Diwali Laxmi Pujan",
        "10-26": "Diwali Balipratipada",
        "11-08": "Gurunanak Jayanti",
    },
    2023: {
        "01-26": "Republic Day",
        "03-07": "Holi",
        "03-30": "Ram Navami",
        "04-04": "Mahavir Jayanti",
        "04-07": "Good Friday",
        "04-14": "Dr. Baba Saheb Ambedkar Jayanti",
        "05-01": "Maharashtra Day",
        "06-29": "Bakri Id",
        "08-15": "Independence Day",
        "09-19": "Ganesh Chaturthi",
        "10-02": "Mahatma Gandhi Jayanti",
        "10-24": "Dussehra",
        "11-14": "Diwali Balipratipada",
        "11-27": "Gurunanak Jayanti",
        "12-25": "Christmas",
    },
    2024: {
        "01-22": "Special holiday",
        "01-26": "Republic Day",
        "03-08": "Mahashivratri",
        "03-25": "Holi",
        "03-29": "Good Friday",
        "04-11": "Id-Ul-Fitr",
        "04-17": "Ram Navami",
        "05-01": "Maharashtra Day",
        "05-20": "General elections",
        "06-17": "Bakri Id",
        "07-17": "Moharram",
        "08-15": "Independence Day",
        "10-02": "Mahatma Gandhi Jayanti",
        "11-01": "Diwali Laxmi Pujan",
        "11-15": "Gurunanak Jayanti",
        "11-20": "Assembly elections",
        "12-25": "Christmas",
    },
    2025: {
        "02-26": "Mahashivratri",
        "03-14": "Holi",
        "03-31": "Id-Ul-Fitr",
        "04-10": "Mahavir Jayanti",
        "04-14": "Dr. Baba Saheb Ambedkar Jayanti",
        "04-18": "Good Friday",
        "05-01": "Maharashtra Day",
        "08-15": "Independence Day",
        "08-27": "Ganesh Chaturthi",
        "10-02": "Mahatma Gandhi Jayanti",
        "10-21": "Diwali Laxmi Pujan",
        "10-22": "Diwali Balipratipada",
        "11-05": "Gurunanak Jayanti",
        "12-25": "Christmas",
    },
    2026: {
        "01-15": "Municipal elections",
        "01-26": "Republic Day",
        "03-03": "Holi",
        "03-26": "Ram Navami",
        "03-31": "Mahavir Jayanti",
        "04-03": "Good Friday",
        "04-14": "Dr. Baba Saheb Ambedkar Jayanti",
        "05-01": "Maharashtra Day",
        "05-28": "Bakri Id",
        "06-26": "Moharram",
        "09-14": "Ganesh Chaturthi",
        "10-02": "Mahatma Gandhi Jayanti",
        "10-20": "Dussehra",
        "11-10": "Diwali Balipratipada",
        "11-24": "Gurunanak Jayanti",
        "12-25": "Christmas",
    },
}


@dataclass(frozen=True, slots=True)
class Session:
    """Trading hours of a day, in minutes of the IST day."""

    opens_at: int
    minutes: int


EQUITY_SESSION = Session(555, 375)  # 09:15 to 15:30
_COMMODITY_SESSION = Session(540, 870)  # 09:00 to 23:30
_CURRENCY_SESSION = Session(540, 480)  # 09:00 to 17:00
_REGULAR = {
    "NSE_COM": _COMMODITY_SESSION,
    "MCX_FO": _COMMODITY_SESSION,
    "NCD_FO": _CURRENCY_SESSION,
    "BCD_FO": _CURRENCY_SESSION,
}

#: Days with hours of their own, on every segment alike.
SPECIAL_SESSIONS: dict[date, tuple[str, Session]] = {
    date(2022, 10, 24): ("Diwali Muhurat trading", Session(1095, 60)),
    date(2023, 11, 12): ("Diwali Muhurat trading", Session(1095, 60)),  # a Sunday
    date(2024, 1, 20): (
        "Special session",
        Session(555, 195),
    ),  # Saturdays, this one and the next two
    date(2024, 3, 2): ("Special session", Session(555, 195)),
    date(2024, 5, 18): ("Special session", Session(555, 195)),
    date(2024, 11, 1): ("Diwali Muhurat trading", Session(1080, 60)),
    date(2025, 2, 1): ("Union Budget", EQUITY_SESSION),  # a Saturday
    date(2025, 10, 21): ("Diwali Muhurat trading", Session(825, 60)),
    date(2026, 2, 1): ("Union Budget", EQUITY_SESSION),  # a Sunday
    date(2026, 11, 8): ("Diwali Muhurat trading", Session(1095, 60)),  # a Sunday
}


def holidays_of(year: int) -> dict[date, str]:
    """Weekdays on which the exchange keeps no regular hours."""
    listed = _LISTED.get(year)
    if listed is not None:
        days = {date.fromisoformat(f"{year}-{tail}"): name for tail, name in listed.items()}
    else:
        days = {date(year, month, day): name for (month, day), name in _FIXED.items()}
    return {day: name for day, name in days.items() if day.weekday() < _SATURDAY}


def epoch_day(day: date) -> int:
    return (day - _EPOCH).days


def from_epoch_day(number: int) -> date:
    return _EPOCH + timedelta(days=number)


@dataclass(frozen=True, slots=True)
class Calendar:
    """The trading days of a segment, ascending; three columns side by side."""

    days: npt.NDArray[np.int64]  # epoch days
    opens_at: npt.NDArray[np.int64]  # minute of the IST day
    minutes: npt.NDArray[np.int64]  # length of the session
    regular: Session

    def between(self, first: int, last: int) -> slice:
        """Where the days `first` to `last`, both included, stand."""
        start, stop = np.searchsorted(self.days, [first, last + 1])
        return slice(int(start), max(int(start), int(stop)))


def calendar_of(segment: str) -> Calendar:
    return _calendar(_REGULAR.get(segment, EQUITY_SESSION))


@cache
def _calendar(regular: Session) -> Calendar:
    open_days: list[tuple[int, int, int]] = []
    closed = {day for year in range(FIRST_DAY.year, LAST_DAY.year + 1) for day in holidays_of(year)}
    for number in range(epoch_day(FIRST_DAY), epoch_day(LAST_DAY) + 1):
        day = from_epoch_day(number)
        if day in SPECIAL_SESSIONS:
            session = SPECIAL_SESSIONS[day][1]
        elif day.weekday() >= _SATURDAY or day in closed:
            continue
        else:
            session = regular
        open_days.append((number, session.opens_at, session.minutes))
    columns = np.array(open_days, np.int64).T.copy()
    columns.setflags(write=False)
    return Calendar(columns[0], columns[1], columns[2], regular)
