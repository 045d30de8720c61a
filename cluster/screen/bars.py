"""Bars of many instruments in flat columns, one instrument after the other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from actors.market.sessions import IST_SHIFT_US, closing_minute, opening_minute
from actors.market.timeframe import Timeframe, Unit

Values = npt.NDArray[np.float64]  # conditions too: 1, 0, and NaN for what nobody knows
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

US_A_MINUTE = 60_000_000
US_A_DAY = 86_400_000_000
UNIX_DAY = date(1970, 1, 1)
_CLOSES = 930  # minute of the IST day: shares' close, for segments of which nothing else is known
_MOMENT_BITS = 32  # minutes, or days, since 1970


@dataclass(frozen=True, eq=False)
class Bars:
    """All of one timeframe, ascending by instrument and time.

    Instrument `i` has the bars `starts[i]` up to, but not with, `starts[i + 1]`.
    """

    timeframe: Timeframe
    keys: tuple[str, ...]
    starts: Ints
    ts: Ints  # microseconds since 1970 UTC at which a bar starts
    columns: dict[str, Values]
    final: Bools

    @classmethod
    def of(cls, timeframe: Timeframe, keys: tuple[str, ...], candles: pa.Table) -> Self:
        """Of candles in any order: instrument_key, ts, final and numbers. `keys` ascend.

        Candles of other instruments are passed over.
        """
        names = pa.chunked_array(candles["instrument_key"].cast(pa.string()))
        found = pc.index_in(names, pa.array(keys, pa.string()))
        if found.null_count:
            candles, found = candles.filter(found.is_valid()), found.drop_null()
        who: Ints = found.to_numpy().astype(np.int64)
        ts: Ints = candles["ts"].cast(pa.int64()).to_numpy()
        order = np.argsort(_key(who, ts // US_A_MINUTE), kind="stable")
        columns = {
            field.name: candles[field.name].to_numpy().astype(np.float64)[order]
            for field in candles.schema
            if field.name not in ("instrument_key", "ts", "final")
        }
        starts = np.searchsorted(who[order], np.arange(len(keys) + 1)).astype(np.int64)
        return cls(timeframe, keys, starts, ts[order], columns, candles["final"].to_numpy()[order])

    def __len__(self) -> int:
        return len(self.ts)

    def part(self, first: int, end: int) -> Bars:
        """Those of instruments `first` to `end`, not included. Nothing is copied."""
        begin, stop = int(self.starts[first]), int(self.starts[end])
        columns = {name: values[begin:stop] for name, values in self.columns.items()}
        starts = self.starts[first : end + 1] - begin
        ts, final = self.ts[begin:stop], self.final[begin:stop]
        return Bars(self.timeframe, self.keys[first:end], starts, ts, columns, final)

    @cached_property
    def counts(self) -> Ints:
        return np.diff(self.starts)

    @cached_property
    def who(self) -> Ints:
        """Number of each bar's instrument."""
        return np.repeat(np.arange(len(self.keys)), self.counts)

    @cached_property
    def place(self) -> Ints:
        """How many bars of the same instrument come before each."""
        return np.arange(len(self)) - self.starts[self.who]

    @cached_property
    def day(self) -> Ints:
        """IST day of each bar, in days since 1970."""
        return (self.ts + IST_SHIFT_US) // US_A_DAY

    @cached_property
    def days(self) -> list[date]:
        """The days of all bars, ascending."""
        if not len(self):
            return []
        first = int(self.day.min())
        there = np.flatnonzero(np.bincount(self.day - first)) + first
        return [UNIX_DAY + timedelta(day) for day in there.tolist()]

    @cached_property
    def last_day(self) -> Ints:
        """The last calendar day of each bar."""
        if self.timeframe.is_intraday or self.timeframe.unit is Unit.DAY:
            return self.day
        firsts = np.array([(day - UNIX_DAY).days for day in self.days], np.int64)
        lasts = [(self.timeframe.bar_days(day)[1] - UNIX_DAY).days for day in self.days]
        found: Ints = np.array(lasts, np.int64)[np.searchsorted(firsts, self.day)]
        return found

    @cached_property
    def end(self) -> Ints:
        """When each bar is over, microseconds since 1970 UTC: at its session's close at the latest."""
        return self.ends(np.arange(len(self)))

    def ends(self, places: Ints) -> Ints:
        """The same, only of the bars at these places."""
        closes = np.array([closing_minute(_segment(key)) or _CLOSES for key in self.keys], np.int64)
        who = np.searchsorted(self.starts, places, "right") - 1
        midnight = self.last_day[places] * US_A_DAY - IST_SHIFT_US
        close: Ints = midnight + closes[who] * US_A_MINUTE
        if not self.timeframe.is_intraday:
            return close
        ts = self.ts[places]
        over = ts + self.timeframe.minutes * US_A_MINUTE
        return np.where(ts < close, np.minimum(over, close), over)

    @cached_property
    def session_start(self) -> Ints:
        """Where each bar's session starts: the place of its first bar in the columns."""
        if not len(self):
            return np.zeros(0, np.int64)
        new = np.concatenate([[True], (np.diff(self.day) != 0) | (np.diff(self.who) != 0)])
        starts: Ints = np.flatnonzero(new)[np.cumsum(new) - 1]
        return starts

    @cached_property
    def opening(self) -> Ints:
        """When each bar's session opened, microseconds since 1970 UTC.

        As usual, unless its first bar is earlier or after the usual close, as in the evening of Diwali.
        """
        usual = np.array([opening_minute(_segment(key)) or 0 for key in self.keys], np.int64)
        midnight = self.day * US_A_DAY - IST_SHIFT_US
        opens = midnight + usual[self.who] * US_A_MINUTE
        closes = np.array([closing_minute(_segment(key)) or 0 for key in self.keys], np.int64)
        close = midnight + closes[self.who] * US_A_MINUTE
        first = self.ts[self.session_start]
        return np.where((first < opens) | (first >= close), first, opens)


def fineness(timeframe: Timeframe) -> tuple[int, int]:
    """Sorts timeframes, the shortest bars first."""
    if timeframe.is_intraday:
        return 0, timeframe.minutes
    return list(Unit).index(timeframe.unit), timeframe.interval


def over_by(longer: Bars, bars: Bars) -> Ints:
    """For each of `bars`, the place of the newest of `longer` that is over when it is; -1: none.

    A day is over at the close, or when its last shorter bar is, as after an evening session.
    """
    if not len(bars) or not len(longer):
        return np.full(len(bars), -1)
    end = longer.end
    if not longer.timeframe.is_intraday:
        newest = (
            np.searchsorted(_key(bars.who, bars.day), _key(longer.who, longer.last_day), "right")
            - 1
        )
        is_there = (newest >= 0) & (bars.who[newest] == longer.who)
        end = np.where(is_there, np.maximum(end, bars.end[newest]), end)
    theirs, ours = _key(longer.who, end // US_A_MINUTE), _key(bars.who, bars.end // US_A_MINUTE)
    found = np.searchsorted(theirs, ours, "right") - 1
    return np.where(found >= longer.starts[bars.who], found, -1).astype(np.int64)


def _key(who: Ints, when: Ints) -> Ints:
    """Sorts by instrument and moment, which is in whole minutes, as all bars are, or in days."""
    return (who << _MOMENT_BITS) | when


def _segment(key: str) -> str:
    return key.partition("|")[0]
