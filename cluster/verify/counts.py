from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from actors.market.epoch import day_number
from actors.market.timeframe import Timeframe, Unit
from cluster.days import Days, Ints, Mask

Rows: TypeAlias = npt.NDArray[np.uint16]


class Counts:
    """How many bars stand on each day: for every timeframe, an instrument a row, a day a column.

    Memory is three bytes for each, however many bars there are; untouched stretches take none.
    """

    def __init__(self, instrument_keys: Sequence[str], days: Days) -> None:
        self.days = days
        self._rows = {key: row for row, key in enumerate(instrument_keys)}
        self._keys = pa.array(instrument_keys, pa.string())
        self._bars: dict[Timeframe, Rows] = {}
        self._idle: dict[Timeframe, Rows] = {}  # bars without a trade
        self._open: dict[Timeframe, npt.NDArray[np.bool_]] = {}  # days of bars that are not final

    def take(self, timeframe: Timeframe, tables: Iterable[pa.Table]) -> None:
        """Note down tables of COUNTS. Other instruments and days than ours are left out."""
        shape = (len(self._rows), len(self.days))
        bars = self._bars[timeframe] = np.zeros(shape, np.uint16)
        idle = np.zeros(shape if timeframe.unit is Unit.DAY else (0, 0), np.uint16)
        self._open[timeframe] = np.zeros(shape, np.bool_)
        for table in tables:
            row = pc.fill_null(pc.index_in(table["instrument_key"], self._keys), -1).to_numpy()
            numbers = table["date"].cast(pa.int32()).to_numpy()
            place = numbers - day_number(date.fromordinal(self.days.first))
            ours = (row >= 0) & (place >= 0) & (place < len(self.days))
            where = row[ours], place[ours]
            bars[where] = table["bars"].to_numpy()[ours]
            self._open[timeframe][where] = pc.less(table["final"], table["bars"]).to_numpy()[ours]
            if idle.size:
                idle[where] = pc.subtract(table["bars"], table["traded"]).to_numpy()[ours]
        self._idle[timeframe] = idle

    def bars(self, instrument_key: str, timeframe: Timeframe) -> Ints:
        """A number for each day."""
        bars: Ints = self._bars[timeframe][self._rows[instrument_key]].astype(np.int64)
        return bars

    def traded(self, instrument_key: str, timeframe: Timeframe) -> Mask:
        """The days on which a bar tells of trade."""
        bars, idle = self.bars(instrument_key, timeframe), self._idle[timeframe]
        return bars > (idle[self._rows[instrument_key]] if idle.size else 0)

    def provisional(self, instrument_key: str, timeframe: Timeframe) -> Mask:
        """The days on which a bar stands that is not final."""
        days: Mask = self._open[timeframe][self._rows[instrument_key]]
        return days

    def most(self, instrument_keys: Sequence[str], timeframe: Timeframe) -> Ints:
        """The most bars that any of the instruments has on each day: the market was open for so many."""
        rows = self._bars[timeframe][[self._rows[key] for key in instrument_keys]]
        most: Ints = rows.max(axis=0, initial=0).astype(np.int64)
        return most

    def firsts(self, instrument_key: str) -> list[int]:
        """Of each timeframe that has any, the last day of its first bar."""
        found = []
        for timeframe in self._bars:
            places = np.flatnonzero(self.bars(instrument_key, timeframe))
            if len(places):
                label = self.days.day(int(places[0]))
                found.append(timeframe.bar_days(label)[1].toordinal())
        return found

    def attended(self, instrument_keys: Iterable[str]) -> Mask:
        """The days on which more than half of the instruments listed by then have a bar."""
        came = np.zeros(len(self.days), np.int64)
        listed = np.zeros(len(self.days), np.int64)
        for key in instrument_keys:
            here = np.zeros(len(self.days), np.bool_)
            for timeframe in filter(is_daily, self._bars):
                here |= self.bars(key, timeframe) > 0
            came += here
            listed[here.argmax() if here.any() else len(here) :] += 1
        return came * 2 > listed


def is_daily(timeframe: Timeframe) -> bool:
    """Whether each day has bars of its own."""
    return timeframe.is_intraday or timeframe.unit is Unit.DAY
