"""What screens need and TA-Lib has not. Windows include the bar itself, unless it says otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import talib

from cluster.screen.bars import US_A_MINUTE, Bars, Ints, Values
from cluster.screen.tree import Number, Param, Params, Reach, Slot
from cluster.screen.windows import by_run, by_session, extreme_since, shifted

_MOST_BARS = 100_000
_YEAR_DAYS = 364  # 52 weeks

Compute = Callable[..., Values]


@dataclass(frozen=True, slots=True)
class Own:
    """A function of ours; `formula` is given the bars, the series and the parameters."""

    name: str
    slots: tuple[Slot, ...]
    formula: Compute
    params: tuple[Param, ...] = ()
    reaches: Callable[..., Reach] = lambda *_: Reach()
    is_condition: bool = False
    needs_minutes: bool = False

    @property
    def outputs(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def on_prices(self) -> bool:
        return self.name in _ON_PRICES

    def refusal(self, params: Params, minutes: int | None) -> str | None:
        for param, value in zip(self.params, params, strict=True):
            if not 1 <= value <= _MOST_BARS:
                return f"{self.name}'s {param.name} must be from 1 to {_MOST_BARS}, not {value:g}"
        if self.name in _OPENING and minutes is not None and params[0] % minutes:
            return f"{self.name}({params[0]:g}) does not end with a bar of {minutes} minutes"
        return None

    def reach(self, params: Params) -> Reach:
        return self.reaches(*params)

    def compute(self, bars: Bars, inputs: list[Values], params: Params) -> tuple[Values, ...]:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            found = self.formula(bars, *inputs, *params)
        return (np.where(np.isfinite(found), found, np.nan),)


def _highest(bars: Bars, x: Values, n: int) -> Values:
    return x if n == 1 else by_run(bars, [x], n - 1, 1, lambda v: (talib.func.MAX(v, n),))[0]


def _lowest(bars: Bars, x: Values, n: int) -> Values:
    return -_highest(bars, -x, n)


def _count(bars: Bars, condition: Values, n: int) -> Values:
    def counted(run: Values) -> tuple[Values]:
        total = np.concatenate([[0.0], np.cumsum(run)])
        return (np.concatenate([np.full(n - 1, np.nan), total[n:] - total[:-n]]),)

    return by_run(bars, [condition], n - 1, 1, counted)[0]


def _change_pct(bars: Bars, x: Values, n: int) -> Values:
    return 100 * (x / shifted(bars, x, n) - 1)


def _crosses_above(bars: Bars, a: Values, b: Values) -> Values:
    """`a` is above `b`, and was not a bar ago."""
    before, now = shifted(bars, a - b, 1), a - b
    return np.where(np.isnan(before + now), np.nan, (before <= 0) & (now > 0))


def _crosses_below(bars: Bars, a: Values, b: Values) -> Values:
    return _crosses_above(bars, b, a)


def _relative_volume(bars: Bars, volume: Values, n: int) -> Values:
    """Over the mean of the `n` bars before."""

    def mean(run: Values) -> tuple[Values]:
        total = np.concatenate([[0.0], np.cumsum(run)])  # whole numbers: exact up to 2 ** 53
        return (np.concatenate([np.full(n - 1, np.nan), (total[n:] - total[:-n]) / n]),)

    return volume / shifted(bars, by_run(bars, [volume], n - 1, 1, mean)[0], 1)


def _gap_pct(bars: Bars, opens: Values, close: Values) -> Values:
    """A session's open over the close before it, at each of its bars."""
    first = bars.session_start
    gap = 100 * (opens[first] / close[first - 1] - 1) if len(bars) else np.zeros(0)
    return np.where(bars.place[first] > 0, gap, np.nan)


def _since_a_year(bars: Bars) -> tuple[Ints, Values]:
    """Where the 52 weeks of each bar start, and NaN where the instrument's first bar is younger."""
    year = bars.day - _YEAR_DAYS
    who = bars.who << 32
    since = np.searchsorted(who | bars.day, who | np.maximum(year, 0), "right")
    oldest = bars.day[bars.starts[bars.who]] if len(bars) else year
    return since.astype(np.int64), np.where(oldest > year, np.nan, 0.0)


def _high_52w(bars: Bars, high: Values) -> Values:
    since, unknown = _since_a_year(bars)
    return extreme_since(high, since, np.maximum) + unknown


def _low_52w(bars: Bars, low: Values) -> Values:
    since, unknown = _since_a_year(bars)
    return extreme_since(low, since, np.minimum) + unknown


def _vwap(bars: Bars, high: Values, low: Values, close: Values, volume: Values) -> Values:
    money = by_session(bars, (high + low + close) / 3 * volume)
    return money / by_session(bars, volume)


def _session_bar(bars: Bars) -> Values:
    """How many bars of its session there are up to each: 1 for the first."""
    return (bars.place - bars.place[bars.session_start] + 1).astype(np.float64)


def _opening_range(bars: Bars, x: Values, minutes: int, extreme: Any) -> Values:
    """Of the bars that start in the session's first minutes, once those are over."""
    until = bars.opening + minutes * US_A_MINUTE
    within = bars.ts < until
    nothing = -np.inf if extreme is np.maximum else np.inf
    found = extreme_since(np.where(within, x, nothing), bars.session_start, extreme)
    return np.where(bars.end >= until, found, np.nan)


def _opening_high(bars: Bars, high: Values, minutes: int) -> Values:
    return _opening_range(bars, high, minutes, np.maximum)


def _opening_low(bars: Bars, low: Values, minutes: int) -> Values:
    return _opening_range(bars, low, minutes, np.minimum)


def _bars(n: Number) -> Reach:
    return Reach(int(n))


def _window(n: Number) -> Reach:
    return Reach(int(n) - 1)


_X, _A, _B = Slot("x"), Slot("a"), Slot("b")
_OPEN, _HIGH, _LOW, _CLOSE, _VOLUME = (
    Slot(name, name) for name in ("open", "high", "low", "close", "volume")
)
_IF = Slot("condition", condition=True)
_N, _ONE, _MONTH = Param("n", None), Param("n", 1), Param("n", 20)
_MINUTES = Param("minutes", None)


def _bar_before() -> Reach:
    return Reach(1)


def _year() -> Reach:
    return Reach(days=_YEAR_DAYS)


# What is of a session looks back to its first bar, and days are always read whole.
_ALL = (
    Own("highest", (_X,), _highest, (_N,), _window),
    Own("lowest", (_X,), _lowest, (_N,), _window),
    Own("change_pct", (_X,), _change_pct, (_ONE,), _bars),
    Own("crosses_above", (_A, _B), _crosses_above, (), _bar_before, is_condition=True),
    Own("crosses_below", (_A, _B), _crosses_below, (), _bar_before, is_condition=True),
    Own("count", (_IF,), _count, (_N,), _window),
    Own("relative_volume", (_VOLUME,), _relative_volume, (_MONTH,), _bars),
    Own("gap_pct", (_OPEN, _CLOSE), _gap_pct, (), _bar_before),
    Own("high_52w", (_HIGH,), _high_52w, (), _year),
    Own("low_52w", (_LOW,), _low_52w, (), _year),
    Own("vwap", (_HIGH, _LOW, _CLOSE, _VOLUME), _vwap, needs_minutes=True),
    Own("session_bar", (), _session_bar, needs_minutes=True),
    Own("opening_high", (_HIGH,), _opening_high, (_MINUTES,), needs_minutes=True),
    Own("opening_low", (_LOW,), _opening_low, (_MINUTES,), needs_minutes=True),
    Own("abs", (_X,), lambda _, x: np.abs(x)),
    Own("log", (_X,), lambda _, x: np.log(x)),
    Own("least", (_A, _B), lambda _, a, b: np.minimum(a, b)),
    Own("greatest", (_A, _B), lambda _, a, b: np.maximum(a, b)),
)
OWN = {function.name: function for function in _ALL}
_OPENING = ("opening_high", "opening_low")
_ON_PRICES = frozenset({"highest", "lowest", "high_52w", "low_52w", "vwap", *_OPENING})
