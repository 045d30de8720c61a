"""Reads from a store what a question needs, some instruments at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from actors.market.errors import UsageError
from actors.writer.naming import by_length
from cluster.screen.asked import markets
from cluster.screen.bars import Bars
from cluster.screen.question import SESSION_MINUTES, Question
from cluster.screen.tree import Reach

if TYPE_CHECKING:
    from actors.market.timeframe import Timeframe
    from actors.writer.reading import Holding, Store
    from actors.writer.selection import Candles

#: What is held at once. With twice as many, nothing went faster, and 656 MB were used instead of 495
#: (18 M rows of 1-minute bars, 2 cores).
ROWS_TOGETHER = 500_000
#: Of everybody so many at once, if that is all there is: a scan that need not compare each row with a
#: list of instruments takes two thirds of the time.
ROWS_OF_ALL = 2_000_000
#: What is computed at once.
ROWS_COMPUTED = 100_000
#: For the newest session up to a day: so many days before it are looked at, until there is one.
_LOOK_BACK_DAYS = (0, 4, 14, 60)
_FURTHER = 4  # times the days before, as long as bars are missing
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class History:
    """Bars of one version of a store, none of them later than a day."""

    question: Question
    candles: Candles
    first: Mapping[str, date | None]  # where to begin reading each timeframe; None: at its oldest
    last: Mapping[str, date]  # the newest session there is of it
    oldest: Mapping[str, date]  # of any instrument

    @classmethod
    def of(cls, store: Store, question: Question, on: date | None) -> Self:
        """Raises UsageError where the store has no candle of a timeframe, or none up to `on`."""
        held = {holding.timeframe: holding for holding in store.holdings()}
        candles = store.candles()
        for timeframe in question.timeframes.values():
            if timeframe.label not in held:
                there = ", ".join(by_length(held))
                raise UsageError(f"{store.uri} holds no {timeframe}, only {there}", "timeframe")
        last = {
            frame: _newest(candles, timeframe, held[timeframe.label], on)
            for frame, timeframe in question.timeframes.items()
        }
        first = {
            frame: None if days is None else _after(held, question, frame, last, days)
            for frame, days in question.days_back().items()
        }
        oldest = {name: held[t.label].first for name, t in question.timeframes.items()}
        return cls(question, candles, first, last, oldest)

    def newest(self, receipts: pa.Table) -> dict[str, dict[str, date]]:
        """The newest session of each timeframe by market, where there are several."""
        return {
            frame: self._by_market(frame, markets(receipts, timeframe.label))
            for frame, timeframe in self.question.timeframes.items()
        }

    def _by_market(self, frame: str, keys: Mapping[str, Sequence[str]]) -> dict[str, date]:
        if len(keys) <= 1:
            return {}
        timeframe, last = self.question.timeframes[frame], self.last[frame]
        found = {m: _last_day(self.candles, timeframe, last, its) for m, its in keys.items()}
        return {market: day for market, day in found.items() if day}

    def pieces(self, keys: Sequence[str], *, everybody: bool) -> Iterator[dict[str, Bars]]:
        """Bars of each timeframe, of the same instruments. `keys` ascend, and are each there once.

        `everybody`: they are all that the store has, so that it need not be told which.
        """
        rows_each = self._rows_each()
        everything = everybody and rows_each * len(keys) <= ROWS_OF_ALL
        together = len(keys) if everything else max(1, ROWS_TOGETHER // rows_each)
        groups = [tuple(keys[at : at + together]) for at in range(0, len(keys), together or 1)]
        coming: Future[dict[str, Bars]] | None = None
        with ThreadPoolExecutor(max_workers=1) as ahead:  # one piece is read while one is computed
            for group in groups:
                following = ahead.submit(self._piece, group, everything)
                if coming is not None:
                    yield from self._parts(coming.result())
                coming = following
            if coming is not None:
                yield from self._parts(coming.result())

    def _parts(self, piece: dict[str, Bars]) -> Iterator[dict[str, Bars]]:
        """The same in parts of which a column stays in a processor's cache."""
        count = len(piece[self.question.base].keys)
        rows = max(map(len, piece.values()))
        together = max(1, count * ROWS_COMPUTED // max(rows, 1))
        for first in range(0, count, together):
            end = min(first + together, count)
            yield {frame: bars.part(first, end) for frame, bars in piece.items()}

    def _piece(self, keys: tuple[str, ...], everything: bool) -> dict[str, Bars]:
        named = None if everything else keys
        return {frame: self._bars(frame, keys, named) for frame in self.question.timeframes}

    def _bars(self, frame: str, keys: tuple[str, ...], named: tuple[str, ...] | None) -> Bars:
        far = self.question.reach()[frame]
        first, last = self.first[frame], self.last[frame]
        timeframe = self.question.timeframes[frame]
        found = self._read(frame, first, last, named)
        bars = Bars.of(timeframe, keys, found)
        span = last - (first or last)
        while first is not None:
            # Whoever hardly trades, or just had holidays, is looked for further back, ever further.
            short = _short(bars, far)
            if not short:
                break
            until, span = first - _DAY, _FURTHER * span
            first = until - span if until - span > self.oldest[frame] else None
            found = pa.concat_tables([found, self._read(frame, first, until, short)])
            bars = Bars.of(timeframe, keys, found)
        return bars

    def _read(
        self, frame: str, first: date | None, last: date, keys: tuple[str, ...] | None
    ) -> pa.Table:
        chosen = self.candles.only(
            columns=self.question.columns(frame),
            timeframe=self.question.timeframes[frame],
            first=first,
            last=last,
            instrument_keys=keys,
        )
        return chosen.unordered()

    def _rows_each(self) -> int:
        """Of one instrument that trades always, in all timeframes."""
        rows = 1
        for frame, timeframe in self.question.timeframes.items():
            first = self.first[frame] or self.oldest[frame]
            days = (self.last[frame] - first).days + 1
            a_day = SESSION_MINUTES / timeframe.minutes if timeframe.is_intraday else 1
            rows += round(days / 7 * 5 * a_day)
        return rows


def _newest(candles: Candles, timeframe: Timeframe, holding: Holding, on: date | None) -> date:
    """The day of the newest bar that was over at the close of `on`."""
    if on is not None:
        begins, ends = timeframe.bar_days(on)
        on = on if ends <= on else begins - _DAY  # a week that goes on holds what came later
    if on is None or on >= holding.last:
        return holding.last
    found = _last_day(candles, timeframe, on)
    if found is None:
        raise UsageError(f"there is no {timeframe} up to {on}; it begins on {holding.first}", "on")
    return found


def _last_day(
    candles: Candles, timeframe: Timeframe, until: date, keys: Sequence[str] | None = None
) -> date | None:
    """The newest day of any bar up to `until`, of these instruments."""
    for begin in [*(until - days * _DAY for days in _LOOK_BACK_DAYS), None]:
        chosen = candles.only(
            columns=["date"], timeframe=timeframe, first=begin, last=until, instrument_keys=keys
        )
        days = chosen.unordered()["date"]
        if len(days):
            found: date = pc.max(days).as_py()
            return found
    return None


def _after(
    held: Mapping[str, Holding], question: Question, frame: str, last: Mapping[str, date], days: int
) -> date | None:
    """Where to begin reading; None if that is not after the oldest candle."""
    newest = min(last[frame], last[question.base])
    there = (newest - held[question.timeframes[frame].label].first).days
    return newest - days * _DAY if days < there else None


def _short(bars: Bars, far: Reach) -> tuple[str, ...]:
    """The instruments of which the answer may look further back than these bars go."""
    counted = far.bars + far.settling
    short = bars.counts <= counted
    if far.days:
        others = np.flatnonzero(~short)
        first, last = bars.starts[:-1][others], bars.starts[1:][others] - 1
        short[others] = bars.day[first] > bars.day[last - counted] - far.days
    return tuple(bars.keys[at] for at in np.flatnonzero(short).tolist())
