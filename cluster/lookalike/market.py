"""A market that follows from (seed, instrument key) alone: what is served, and ground truth.

Market(seed=7).candles("NSE_EQ|INE062A01020", "minutes", 5, date(2024, 1, 1), date(2024, 1, 31))
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from cluster.lookalike.bars import Bars, Ints
from cluster.lookalike.character import Character, character_of
from cluster.lookalike.days import DayTable
from cluster.lookalike.instruments import known_instruments
from cluster.lookalike.minutes import minute_bars
from cluster.lookalike.split import Split
from cluster.lookalike.trading_days import (
    FIRST_MINUTE_DAY,
    LAST_DAY,
    Calendar,
    calendar_of,
    epoch_day,
    from_epoch_day,
)

Floats: TypeAlias = npt.NDArray[np.float64]

_MINUTES_PER_UNIT = {"minutes": 1, "hours": 60}
_IST_SHIFT_S = 19_800
_DAY_S = 86_400
_PAISE = 100
#: A minute shows in intraday answers so long after its end; 6 to 36 s were observed (2026-09-23).
PUBLISHED_AFTER_S = 20
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday
_LONGEST_BAR_DAYS = {"days": 0, "weeks": 6, "months": 30}
_KEPT_INSTRUMENTS = 64  # about 0.5 MB each


class Candles(NamedTuple):
    """Ascending. `ts` is the bar's start in epoch seconds; prices are the very floats printed."""

    ts: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Ints
    oi: Ints


@dataclass(frozen=True, slots=True)
class _Listed:
    who: Character
    calendar: Calendar
    days: DayTable


def _mondays(days: Ints) -> Ints:
    return days - (days + _EPOCH_WEEKDAY) % 7


def _firsts(days: Ints) -> Ints:
    months = days.astype("datetime64[D]").astype("datetime64[M]")
    return months.astype("datetime64[D]").astype(np.int64)


_LABELS: dict[str, Callable[[Ints], Ints]] = {
    "days": lambda days: days,
    "weeks": _mondays,
    "months": _firsts,
}


class Market:
    def __init__(self, seed: int = 0, splits: Mapping[str, Split] | None = None) -> None:
        """`splits` are by instrument key, and may be added to while the market is in use."""
        self._seed = seed
        self._splits = {} if splits is None else splits
        self._listed: OrderedDict[str, _Listed] = OrderedDict()

    def candles(
        self,
        instrument_key: str,
        unit: str,
        interval: int,
        first: date,
        last: date,
        *,
        before: date | None = None,
    ) -> Candles:
        """What the historical endpoint holds for `first` to `last`, both included.

        A week or month counts by its label (its Monday, its 1st). With `before`, days from then on
        have not happened yet. Raises KeyError for an instrument the master does not hold.
        """
        bars = self.bars(instrument_key, unit, interval, first, last, before=before)
        ts = bars.day * _DAY_S + bars.minute * 60 - _IST_SHIFT_S
        return Candles(
            ts,
            bars.open / _PAISE,
            bars.high / _PAISE,
            bars.low / _PAISE,
            bars.close / _PAISE,
            bars.volume,
            bars.oi,
        )

    def bars(
        self,
        instrument_key: str,
        unit: str,
        interval: int,
        first: date,
        last: date,
        *,
        before: date | None = None,
    ) -> Bars:
        """The same as whole paise."""
        bars = self._unsplit(instrument_key, unit, interval, first, last, before)
        return self._split(instrument_key, bars, LAST_DAY if before is None else before)

    def _unsplit(
        self,
        instrument_key: str,
        unit: str,
        interval: int,
        first: date,
        last: date,
        before: date | None,
    ) -> Bars:
        final = LAST_DAY if before is None else min(LAST_DAY, before - timedelta(days=1))
        last = min(last, LAST_DAY)
        if unit in _MINUTES_PER_UNIT:
            path = self.path(instrument_key, max(first, FIRST_MINUTE_DAY), min(last, final))
            calendar = self._find(instrument_key).calendar
            return by_session(path, calendar, _MINUTES_PER_UNIT[unit] * interval)
        return self._longer(instrument_key, unit, first, last, final)

    def today(self, instrument_key: str, unit: str, interval: int, day: date, second: int) -> Bars:
        """What the intraday endpoint shows at that second of the IST day.

        Minutes once they are over; longer bars while they form, of the minutes that are over.
        """
        path = self.path(instrument_key, day, day)
        path = path.rows((path.minute + 1) * 60 + PUBLISHED_AFTER_S <= second)
        path = self._split(instrument_key, path, day)
        if unit == "days":
            return path.merged(path.day, np.zeros_like(path.day))
        calendar = self._find(instrument_key).calendar
        return by_session(path, calendar, _MINUTES_PER_UNIT[unit] * interval)

    def split_of(self, instrument_key: str) -> Split | None:
        return self._splits.get(instrument_key)

    def _split(self, instrument_key: str, bars: Bars, today: date) -> Bars:
        """The bars as they are served on that day."""
        split = self._splits.get(instrument_key)
        if split is None or today < split.ex_date:
            return bars
        return bars.split(split.ratio, self._find(instrument_key).who.tick_paise)

    def last_session(self, instrument_key: str, day: date) -> date | None:
        """The last trading day of the instrument's segment up to `day`, itself included."""
        days = self._find(instrument_key).calendar.days
        place = int(np.searchsorted(days, epoch_day(day), side="right")) - 1
        return from_epoch_day(int(days[place])) if place >= 0 else None

    def path(self, instrument_key: str, first: date, last: date) -> Bars:
        """The 1-minute bars of `first` to `last`, both included, whether served or not."""
        listed = self._find(instrument_key)
        days = listed.calendar.between(epoch_day(first), epoch_day(last))
        return minute_bars(listed.who, listed.days, listed.calendar, days)

    def _longer(self, instrument_key: str, unit: str, first: date, last: date, final: date) -> Bars:
        """Days, weeks or months labelled `first` to `last`, made of the days up to `final`."""
        listed = self._find(instrument_key)
        until = min(final, last + timedelta(days=_LONGEST_BAR_DAYS[unit]))
        daily = _daily(listed, listed.calendar.between(epoch_day(first), epoch_day(until)))
        bars = daily.merged(_LABELS[unit](daily.day), daily.minute)
        return bars.rows((bars.day >= epoch_day(first)) & (bars.day <= epoch_day(last)))

    def _find(self, instrument_key: str) -> _Listed:
        listed = self._listed.get(instrument_key)
        if listed is None:
            who = character_of(self._seed, known_instruments()[instrument_key])
            calendar = calendar_of(who.segment)
            listed = self._listed[instrument_key] = _Listed(who, calendar, DayTable(who, calendar))
            if len(self._listed) > _KEPT_INSTRUMENTS:
                self._listed.popitem(last=False)
        self._listed.move_to_end(instrument_key)
        return listed


def by_session(path: Bars, calendar: Calendar, minutes: int) -> Bars:
    """Longer bars of 1-minute bars, counted from each session's opening; the last may be short."""
    if minutes == 1:
        return path
    opens_at = calendar.opens_at[np.searchsorted(calendar.days, path.day)]
    return path.merged(path.day, path.minute - (path.minute - opens_at) % minutes)


def _daily(listed: _Listed, days: slice) -> Bars:
    table, tick = listed.days, listed.who.tick_paise
    traded = table.traded[days]
    day = listed.calendar.days[days][traded]
    return Bars(
        day,
        np.zeros_like(day),
        table.open[days][traded] * tick,
        table.high[days][traded] * tick,
        table.low[days][traded] * tick,
        table.close[days][traded] * tick,
        table.volume[days][traded],
        table.oi[days][traded],
    )
