"""Each ready screen on candles made by hand: those it is for, and some it is only just not for."""

from __future__ import annotations

import re

import numpy as np
import pytest

from cluster.bundled import bundled
from cluster.screen import ready
from cluster.screen.looking import look
from cluster.screen.screen import Screen
from tests.cluster.screen.market import DAY, QUARTER, Timeframe, bars_of, stamps, weekdays

FIVE = Timeframe.parse("5minute")


def candles(closes, spread=1.0, volume=1000.0):
    """Bars without a body, as wide as `spread` to both sides, on even volume."""
    close = np.array(closes, float)
    prices = {"open": close, "high": close + spread, "low": close - spread, "close": close}
    return prices | {"volume": np.full(len(close), volume), "oi": np.zeros(len(close))}


def but(prices, at=-1, **changed):
    """The same, one bar changed."""
    other = {name: values.copy() for name, values in prices.items()}
    for name, value in changed.items():
        other[name][at] = value
    return other


def body(prices, at, opened, closed, **shadows):
    """The same, with a body at one bar, and no shadow but those given."""
    ends = {"high": max(opened, closed), "low": min(opened, closed)} | shadows
    return but(prices, at, open=opened, close=closed, **ends)


FLAT = candles([100] * 270)
SHORT = candles([100] * 30)
FALL = candles([200 - n for n in range(40)])
RISE = candles([100 + n for n in range(120)])
FASTER_DOWN = [300 - 0.02 * n * n for n in range(80)]
FASTER_UP = [100 + 0.02 * n * n for n in range(80)]
CHOP = [100 + n % 2 for n in range(60)]
NARROWING = [100 + (-1) ** n * (3 - 0.01 * n) for n in range(140)]
CLIMB = [100 * 1.004**n for n in range(290)]
ROUGH = candles(CHOP)
#: Days that all have a body of one, which patterns are measured by.
BODIES = candles([100] * 30) | {"open": np.full(30, 101.0)}
DROP = body(BODIES, -3, 100.0, 95.0)
STAR = body(DROP, -2, 94.4, 94.6, high=94.8, low=94.2)
SOLDIERS = body(body(BODIES, -3, 100.0, 102.0), -2, 101.0, 104.0)
UP_ON_VOLUME = candles(CHOP) | {"volume": np.array([1000.0, 2000.0] * 30)}

ONE_DAY = {
    "golden-cross": (candles([100] * 200 + [101]), candles([100] * 201)),
    "death-cross": (candles([100] * 200 + [99]), candles([100] * 201)),
    "breakout-52w": (but(FLAT, close=101.05), but(FLAT, close=101)),
    "breakdown-52w": (but(FLAT, close=98.95), but(FLAT, close=99)),
    "near-52w-high": (
        but(but(FLAT, -99, high=200), close=190),
        but(but(FLAT, -99, high=200), close=189.95),
    ),
    "rsi-oversold-volume": (but(FALL, volume=1501), but(FALL, volume=1500)),
    "rsi-overbought": (
        candles([100, 107.1, 104.1] + [104.1] * 12),
        candles([100, 106.9, 103.9] + [103.9] * 12),
    ),
    "macd-bullish-cross": (
        candles([*FASTER_DOWN, FASTER_DOWN[-1] + 30]),
        candles([*FASTER_DOWN, FASTER_DOWN[-1] + 5]),
    ),
    "macd-bearish-cross": (
        candles([*FASTER_UP, FASTER_UP[-1] - 30]),
        candles([*FASTER_UP, FASTER_UP[-1] - 5]),
    ),
    "bollinger-squeeze": (candles(NARROWING), candles([*NARROWING, 105])),
    "bollinger-breakout": (
        but(but(ROUGH, close=103), volume=1001),
        but(but(ROUGH, close=103), volume=1000),
    ),
    "nr7": (but(SHORT, high=100.9), but(SHORT, high=101)),
    "inside-bar": (but(SHORT, high=100.9, low=99.1), but(SHORT, high=100.9, low=99)),
    "outside-bar-up": (
        but(SHORT, high=103, low=98, close=101.05),
        but(SHORT, high=103, low=98, close=101),
    ),
    "momentum-12-1": (but(FLAT, -22, close=100.05), FLAT),
    "volume-shocker": (but(SHORT, close=102.1, volume=3001), but(SHORT, close=102.1, volume=3000)),
    "gap-up": (but(SHORT, open=102.1, close=102.1), but(SHORT, open=101.9, close=102.1)),
    "gap-down": (but(SHORT, open=97.9, close=97.9), but(SHORT, open=98.1, close=97.9)),
    "bullish-engulfing": (
        body(body(SHORT, -2, 99.0, 98.0), -1, 97.5, 99.5),
        body(body(SHORT, -2, 99.0, 98.0), -1, 97.5, 98.9),
    ),
    "bearish-engulfing": (
        body(body(SHORT, -2, 101.0, 102.0), -1, 102.5, 100.5),
        body(body(SHORT, -2, 101.0, 102.0), -1, 102.5, 101.1),
    ),
    "hammer": (body(BODIES, -1, 95.0, 95.2, low=92.0), body(BODIES, -1, 95.0, 95.2, low=94.9)),
    "morning-star": (body(STAR, -1, 95.0, 96.6), body(STAR, -1, 95.0, 96.4)),
    "three-white-soldiers": (
        body(SOLDIERS, -1, 103.0, 106.0),
        body(SOLDIERS, -1, 103.0, 106.0, high=110.0),
    ),
    "turtle-breakout": (but(SHORT, close=101.05), but(SHORT, close=101)),
    "strong-trend": (candles([*CHOP, *range(101, 121)]), candles([*CHOP, *range(101, 81, -1)])),
    "supertrend-buy": (but(FALL, close=185, high=186), but(FALL, close=162)),
    "trend-template": (candles(CLIMB), candles([*CLIMB[:-1], CLIMB[-1] * 0.85])),
    "pullback-to-ema": (but(RISE, low=209), but(RISE, low=210)),
    "stochastic-oversold": (but(FALL, close=163), but(FALL, close=160)),
    "obv-breakout": (UP_ON_VOLUME, but(UP_ON_VOLUME, close=99)),
    "five-rising-days": (
        candles([100, 101, 102, 103, 104, 105]),
        candles([100, 101, 102, 102, 104, 105]),
    ),
    "wide-range-day": (
        but(SHORT, low=100, high=104.1, close=103.5),
        but(SHORT, low=100, high=103.9, close=103.5),
    ),
}  # fmt: skip

OPENING = [100, 101, 100, 100]  # the first three make the range: 99 to 102
TWO_DAYS = candles([100] * 75 + [102] * 5)
ONE_SESSION = {
    "vwap-reclaim": (candles([100, 100, 99, 101]), candles([100, 100, 99, 99.5])),
    "opening-range-breakout": (candles([*OPENING, 102.05]), candles([*OPENING, 102])),
    "opening-range-breakdown": (candles([*OPENING, 98.95]), candles([*OPENING, 99])),
    "gap-and-go": (
        but(but(TWO_DAYS, 75, open=101.1), close=103.05),
        but(but(TWO_DAYS, 75, open=100.9), close=103.05),
    ),
}


def matches(name, prices):
    timeframe = DAY if name in ONE_DAY else FIVE
    size = len(prices["close"])
    when = stamps(timeframe, weekdays(size if timeframe is DAY else 2))[:size]
    looked, _ = look(Screen.load(name).question, {"bars": bars_of(timeframe, [(when, prices)])})
    return looked[0].matches


@pytest.mark.parametrize("name", [*ONE_DAY, *ONE_SESSION])
def test_it_finds_what_it_is_for_and_nothing_near_it(name):
    that, not_that = (ONE_DAY | ONE_SESSION)[name]
    assert (matches(name, that), matches(name, not_that)) == (True, False)


def test_a_session_that_opens_above_its_mean_price_reclaims_nothing():
    """Though the one before it closed below its own."""
    below = candles([100] * 74 + [99, 100])
    assert matches("vwap-reclaim", but(below, close=100.5)) is False
    assert (
        matches("vwap-reclaim", but(but(candles([*[100] * 77]), -2, close=99), close=101)) is True
    )


@pytest.mark.parametrize(("last", "found"), [(9, True), (8, False)])
def test_a_dip_of_one_timeframe_in_a_rise_of_another(last, found):
    """RSI is 100 g / (g + 13 l) after a rise of g on even falls of l: above 40 from 8.67 on."""
    question = Screen.load("trend-day-dip-entry").question
    falls = [200 - n for n in range(20)]
    entry = candles([*falls, falls[-1] + last])
    frames = {
        "day": bars_of(DAY, [(stamps(DAY, weekdays(60)), candles(range(100, 160)))]),
        "entry": bars_of(QUARTER, [(stamps(QUARTER, weekdays(61)[-1:])[:21], entry)]),
    }
    assert look(question, frames)[0][0].matches is found


def test_every_ready_screen_is_tested_and_says_in_a_line_what_it_means():
    assert {*ready.names()} == {*ONE_DAY, *ONE_SESSION, "trend-day-dip-entry"}
    for path in bundled("screens").glob("*.yaml"):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert re.fullmatch(r"# [A-Z].{20,100}\.", first), path.name


@pytest.mark.parametrize("name", ONE_DAY)
def test_every_column_that_it_shows_has_a_value_where_it_finds_something(name):
    """Once there are bars enough before."""
    that, _ = ONE_DAY[name]
    longer = {column: np.concatenate([v[:1].repeat(700), v]) for column, v in that.items()}
    when = stamps(DAY, weekdays(len(longer["close"])))
    looked, _ = look(Screen.load(name).question, {"bars": bars_of(DAY, [(when, longer)])})
    assert None not in looked[0].shown
    assert looked[0].rank is not None
