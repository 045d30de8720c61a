from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone

from actors.market.timeframe import Timeframe

#: India keeps one offset all year, so a fixed one is exact.
IST = timezone(timedelta(hours=5, minutes=30), "IST")
IST_SHIFT_US = 19_800_000_000  # microseconds that India's clocks are ahead of UTC

#: From this time of the next day on, a day's history is taken as complete. The provider did not serve a
#: day's bar by 17:30 of the same day and did by 08:03 of the next morning (one session observed,
#: 2026-09-23); half an hour is added.
SETTLES_AT = time(8, 30, tzinfo=IST)

_MINUTES_A_QUARTER = 15
_OPENS_AT_MINUTE = {"MCX_FO": 540, "MCX_INDEX": 540, "NCD_FO": 540, "BCD_FO": 540, "NSE_COM": 540}
_OPENS_AT_MINUTE |= dict.fromkeys(
    ("NSE_EQ", "NSE_FO", "NSE_INDEX", "BSE_EQ", "BSE_FO", "BSE_INDEX"), 9 * 60 + 15
)

#: Commodities close at 23:30 while America keeps its summer time, else at 23:55; the later is taken.
_CLOSES_AT_MINUTE = {
    "MCX_FO": 1435,
    "MCX_INDEX": 1435,
    "NSE_COM": 1435,
    "NCD_FO": 1020,
    "BCD_FO": 1020,
}
_CLOSES_AT_MINUTE |= dict.fromkeys(
    ("NSE_EQ", "NSE_FO", "NSE_INDEX", "BSE_EQ", "BSE_FO", "BSE_INDEX"), 15 * 60 + 30
)


def opening_minute(segment: str) -> int | None:
    """Minute of the IST day at which the segment's regular session opens (555 is 09:15), if known.

    Intraday bars are anchored there.
    """
    return _OPENS_AT_MINUTE.get(segment)


def closing_minute(segment: str) -> int | None:
    """Minute of the IST day at which the regular session is over (930 is 15:30), if known."""
    return _CLOSES_AT_MINUTE.get(segment)


def depends_on_opening(minutes: int) -> bool:
    """Whether bars of that length lie otherwise in a session that opens at an unusual time.

    All sessions, special ones included, have opened on a quarter of an hour.
    """
    return _MINUTES_A_QUARTER % minutes != 0


def ist_date(now: datetime) -> date:
    """The IST calendar day at `now`, which must carry a zone."""
    return now.astimezone(IST).date()


def settled_at(timeframe: Timeframe, day: date) -> datetime:
    """When the bar that `day` belongs to is served complete and will not change by itself."""
    _, last = timeframe.bar_days(day)
    return datetime.combine(last + timedelta(days=1), SETTLES_AT)
