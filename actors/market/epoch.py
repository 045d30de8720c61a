"""Days and moments as numbers counted from 1970 UTC, as Arrow keeps them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

US_A_MINUTE = 60_000_000
US_A_DAY = 86_400_000_000

_DAY = date(1970, 1, 1)
_START = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def day_number(day: date) -> int:
    return (day - _DAY).days


def day_of(number: int) -> date:
    return _DAY + timedelta(days=int(number))


def stamp_us(moment: datetime) -> int:
    """Whole microseconds; `moment` must carry a zone."""
    return (moment - _START) // _MICROSECOND


def moment_of(stamp_us: int) -> datetime:
    return _START + int(stamp_us) * _MICROSECOND
