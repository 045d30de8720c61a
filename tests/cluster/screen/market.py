"""Made-up bars of several instruments, of which some have holes."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np

from actors.market.sessions import IST
from actors.market.timeframe import Timeframe
from cluster.screen.bars import Bars

DAY = Timeframe.parse("1day")
QUARTER = Timeframe.parse("15minute")
HOUR = Timeframe.parse("1hour")
KEYS = ("NSE_EQ|A", "NSE_EQ|B", "NSE_EQ|C")
PRICES = ("open", "high", "low", "close", "volume", "oi")
MONDAY = date(2024, 1, 1)


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=IST)


def stamps(timeframe: Timeframe, days: list[date], minutes: int = 375) -> list[datetime]:
    """Starts of the bars of regular sessions, of which the last may be short."""
    if not timeframe.is_intraday:
        return [midnight(day) for day in days]
    starts = range(555, 555 + minutes, timeframe.minutes)
    return [midnight(day) + timedelta(minutes=start) for day in days for start in starts]


def weekdays(count: int, first: date = MONDAY) -> list[date]:
    days = (first + timedelta(n) for n in range(2 * count + 7))
    return [day for day in days if day.weekday() < 5][:count]


def walk(size: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Prices that go at random, in paise, and whole volumes."""
    draw = np.random.default_rng(seed)
    close = np.round(100 * np.exp(np.cumsum(draw.normal(0, 0.015, size))), 2)
    opens = np.round(close * np.exp(draw.normal(0, 0.008, size)), 2)
    high = np.maximum(opens, close) + np.round(draw.exponential(0.4, size), 2)
    low = np.maximum(np.minimum(opens, close) - np.round(draw.exponential(0.4, size), 2), 0.05)
    volume = draw.integers(1, 100_000, size).astype(float)
    prices = {"open": opens, "high": high, "low": low, "close": close}
    return prices | {"volume": volume, "oi": np.zeros(size)}


def bars_of(
    timeframe: Timeframe, series: list[tuple[list[datetime], dict[str, np.ndarray]]]
) -> Bars:
    """Bars of as many instruments as there are series."""
    counts = [len(when) for when, _ in series]
    return Bars(
        timeframe,
        KEYS[: len(series)],
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.array(
            [int(start.timestamp()) * 1_000_000 for when, _ in series for start in when], np.int64
        ),
        {name: np.concatenate([values[name] for _, values in series]) for name in PRICES},
        np.ones(sum(counts), bool),
    )


def random_bars(timeframe: Timeframe, days: int, seed: int, share: float = 0.9) -> Bars:
    """Each instrument lacks some of the bars."""
    draw = np.random.default_rng(seed)
    series = []
    for each in range(len(KEYS)):
        when = [s for s in stamps(timeframe, weekdays(days)) if draw.random() < share]
        series.append((when, walk(len(when), seed + each)))
    return bars_of(timeframe, series)


def until(bars: Bars, moment: int) -> Bars:
    """Only the bars that are over by then, of the same instruments."""
    keep = bars.end <= moment
    counts = np.bincount(bars.who[keep], minlength=len(bars.keys))
    return Bars(
        bars.timeframe,
        bars.keys,
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        bars.ts[keep],
        {name: values[keep] for name, values in bars.columns.items()},
        bars.final[keep],
    )
