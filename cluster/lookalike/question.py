"""What a path asks for, or the refusal it earns.

In which order the real service looks for mistakes is unknown; here it is key, unit, interval,
dates, span, and last whether the instrument exists.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date
from urllib.parse import unquote

from cluster.lookalike.answers import Answer, refusal
from cluster.lookalike.instruments import known_instruments
from cluster.lookalike.trading_days import FIRST_DAY

PREFIX = "/v3/historical-candle/"

#: The served OpenAPI's own pattern (read 2026-09-02).
_KEY = re.compile(
    r"(NSE_EQ|NSE_FO|NCD_FO|BSE_EQ|BSE_FO|BCD_FO|MCX_FO|NSE_INDEX|BSE_INDEX|MCX_INDEX|NSE_COM"
    r"|GLOBAL_INDEX|GLOBAL_INDICATOR)\|[\w ^]+"
)
_INTERVAL = re.compile(r"[1-9][0-9]{0,3}")
_DATE = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")
_LONGEST_INTERVAL = {"minutes": 300, "hours": 5, "days": 1, "weeks": 1, "months": 1}
_UNITS = tuple(_LONGEST_INTERVAL)
_INTRADAY_UNITS = ("minutes", "hours", "days")
_MONTH_UP_TO_MINUTES = 15  # 1 to 15 minutes: a month a request; longer ones: a quarter
_TODAY_PARTS = 4  # intraday/key/unit/interval; without `intraday` the last is to_date
_SPAN_PARTS = 5


@dataclass(frozen=True, slots=True)
class Question:
    """`days` is what the historical endpoint was asked for, both included; None asks for today."""

    instrument_key: str
    unit: str
    interval: int
    days: tuple[date, date] | None


def read(raw_path: str) -> Question | Answer:
    """The question, or the refusal. `raw_path` is still percent-encoded."""
    parts = [unquote(part) for part in raw_path.removeprefix(PREFIX).split("/")]
    asks_today = len(parts) == _TODAY_PARTS and parts[0] == "intraday"
    if not asks_today and len(parts) not in (_TODAY_PARTS, _SPAN_PARTS):
        return refusal("UDAPI100060")
    key, unit, interval, *dates = parts[1:] if asks_today else parts
    mistake = _mistake(key, _INTRADAY_UNITS if asks_today else _UNITS, unit, interval)
    if mistake is not None:
        return refusal(mistake)
    days = None if asks_today else _read_days(unit, int(interval), dates)
    if isinstance(days, Answer):
        return days
    if key not in known_instruments():
        return refusal("UDAPI100011")
    return Question(key, unit, int(interval), days)


def _mistake(key: str, units: tuple[str, ...], unit: str, interval: str) -> str | None:
    if not _is_key(key):
        return "UDAPI1021"
    if unit not in units:
        return "UDAPI1146"
    if not _INTERVAL.fullmatch(interval) or int(interval) > _LONGEST_INTERVAL[unit]:
        return "UDAPI1147"
    return None


def _is_key(key: str) -> bool:
    # Four index names of the real master (BHARATBOND-APR30 ...) fail the pattern; they are let in.
    return _KEY.fullmatch(key) is not None or key in known_instruments()


def _read_days(unit: str, interval: int, texts: list[str]) -> tuple[date, date] | Answer:
    read_dates = [_read_date(text) for text in texts]
    last = read_dates[0]
    if last is None:
        return refusal("UDAPI1015")
    earliest = _earliest(unit, interval, last)
    # Without from_date the documents speak of the longest span that leads up to to_date.
    first = read_dates[1] if len(read_dates) > 1 else earliest
    if first is None or last < first:
        return refusal("UDAPI1015")
    if first < earliest and unit in _SPAN_LIMITED:
        return refusal("UDAPI1148")
    return first, last


def _read_date(text: str) -> date | None:
    if not _DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:  # 2025-02-30 fits the pattern
        return None


_SPAN_LIMITED = ("minutes", "hours", "days")


def _earliest(unit: str, interval: int, last: date) -> date:
    """The earliest from_date that may go with this to_date."""
    if unit not in _SPAN_LIMITED:
        return min(last, FIRST_DAY.replace(day=1))
    if unit == "days":
        return _months_before(last, 120)
    short = unit == "minutes" and interval <= _MONTH_UP_TO_MINUTES
    return _months_before(last, 1 if short else 3)


def _months_before(day: date, months: int) -> date:
    """The same day of an earlier month, or that month's last."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    if year < 1:
        return date.min
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
