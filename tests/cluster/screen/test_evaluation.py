from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.screen.evaluation import Evaluation
from cluster.screen.parsing import parse
from tests.cluster.screen.market import (
    DAY,
    HOUR,
    QUARTER,
    Timeframe,
    bars_of,
    midnight,
    random_bars,
    stamps,
    until,
    walk,
    weekdays,
)

NAN = math.nan
TRUTH = {1.0: True, 0.0: False}
WEEK = Timeframe.parse("1week")


def of_one_bar(text, **values):
    prices = {name: np.array([1.0]) for name in ("open", "high", "low", "close", "volume", "oi")}
    prices |= {name: np.array([value]) for name, value in values.items()}
    bars = bars_of(DAY, [(stamps(DAY, weekdays(1)), prices)])
    return Evaluation({"day": bars}).values(parse(text, {"day": DAY}))[0]


@pytest.mark.parametrize(("a", "b"), [*itertools.product([1.0, 0.0, NAN], repeat=2)])
def test_what_is_unknown_decides_nothing_and_hides_nothing(a, b):
    """Three-valued logic, against Python's own with every way the unknown may turn out."""

    def expected(combine):
        ways = {
            combine(x, y)
            for x in ([TRUTH[a]] if a in TRUTH else [True, False])
            for y in ([TRUTH[b]] if b in TRUTH else [True, False])
        }
        return float(ways.pop()) if len(ways) == 1 else NAN

    for text, combine in {
        "high == 1 and low == 1": lambda x, y: x and y,
        "high == 1 or low == 1": lambda x, y: x or y,
        "not high == 1 or low == 1": lambda x, y: not x or y,
        "high == 1 and low == 1 and close == 1": lambda x, y: x and y,
        "not (high == 1 or low == 1 or close != 1)": lambda x, y: not (x or y),
    }.items():
        np.testing.assert_equal(of_one_bar(text, high=a, low=b), expected(combine), text)


@pytest.mark.parametrize(
    "text", ["close / volume > 1", "close / volume != 1", "log(volume) < 1", "SQRT(low) > 0"]
)
def test_what_cannot_be_computed_is_unknown(text):
    assert math.isnan(of_one_bar(text, volume=0.0, low=-1.0))


def test_arithmetic_is_what_it_is():
    assert of_one_bar("2 + 3 * high - low / 4 == -(-11) + 1", high=4.0, low=8.0) == 1.0
    assert of_one_bar("1 < high < low < 8.5", high=4.0, low=8.0) == 1.0
    assert of_one_bar("1 < high < low < 8.0", high=4.0, low=8.0) == 0.0


@settings(max_examples=15)
@given(
    st.integers(0, 2**32),
    st.sampled_from([(DAY, QUARTER), (HOUR, QUARTER), (DAY, HOUR), (WEEK, DAY), (WEEK, HOUR)]),
    st.sampled_from([0.2, 0.9]),
)
def test_of_longer_bars_the_newest_that_is_over_counts(seed, pair, share):
    """Found naively: of the instrument's longer bars, those whose end is not after the shorter's."""
    longer, shorter = pair
    coarse = random_bars(longer, 7, seed, share)
    if longer is WEEK:
        mondays = [day for day in weekdays(15) if day.weekday() == 0]
        coarse = bars_of(WEEK, [(stamps(WEEK, mondays), walk(len(mondays)))] * 3)
    fine = random_bars(shorter, 10, seed + 7, share)
    found = Evaluation({"long": coarse, "short": fine}).over(
        parse("long.close", {"long": longer, "short": shorter}), "short"
    )
    for at in range(len(fine)):
        over = [
            coarse.columns["close"][i]
            for i in range(len(coarse))
            if coarse.who[i] == fine.who[at] and coarse.end[i] <= fine.end[at]
        ]
        np.testing.assert_equal(found[at], over[-1] if over else NAN)


def test_a_day_with_an_evening_session_is_over_with_it():
    """Its close was made in the evening; at 18:30 nobody knew it."""
    days = weekdays(2)
    evening = [midnight(days[0]).replace(hour=18, minute=m) for m in (15, 30, 45)]
    fine = bars_of(QUARTER, [(stamps(QUARTER, days[:1]) + evening, walk(28))])
    coarse = bars_of(DAY, [(stamps(DAY, days), walk(2))])
    found = Evaluation({"day": coarse, "q": fine}).places("day", "q")
    assert found.tolist() == [-1] * 27 + [0]


EXPRESSIONS = [
    "entry.close > day.SMA(close, 3)",
    "entry.RSI(close, 5) < 50 and day.MACD(close, 3, 5, 2).macdhist > 0",
    "crosses_above(entry.close, day.EMA(close, 4)) or entry.vwap() > entry.close",
    "entry.opening_high(30) < entry.close and day.gap_pct() > 0",
    "entry.opening_low(15) > entry.lowest(low, 4)[1]",
    "entry.relative_volume(5) > 1 or count(day.close > day.open, 3) > 1",
    "day.highest(high[1], 3) < entry.high and entry.gap_pct() < 1",
    "entry.SMA(day.close / day.volume, 3) > 0",
    "week.close > day.close and day.BBANDS(close, 5).upperband > entry.high",
    "entry.OBV() > entry.OBV()[3] and day.low_52w() < 5",
    "(entry.close > day.close[2])[1] or not day.open[1] < week.close[1]",
]


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.sampled_from(EXPRESSIONS), st.floats(0, 1))
def test_nothing_that_comes_later_changes_a_value(seed, text, part):
    """Whatever moment everything after which is taken away: up to it, all values are the same."""
    names = {"week": WEEK, "day": DAY, "entry": QUARTER}
    mondays = [day for day in weekdays(30) if day.weekday() == 0]
    frames = {
        "week": bars_of(WEEK, [(stamps(WEEK, mondays), walk(len(mondays), seed))] * 3),
        "day": random_bars(DAY, 30, seed),
        "entry": random_bars(QUARTER, 30, seed + 1, 0.5),
    }
    tree = parse(text, names)
    whole = Evaluation(frames).values(tree)
    bars = frames[tree.frame]
    moment = bars.end[int(part * (len(bars) - 1))]
    past = {name: until(each, moment) for name, each in frames.items()}
    before = Evaluation(past).values(tree)
    np.testing.assert_array_equal(before, whole[bars.end <= moment])
    assert len(before)
    some = np.arange(-1, len(bars), 7)
    picked = Evaluation(frames).at(tree, tree.frame, some)
    np.testing.assert_array_equal(picked, np.append(whole, np.nan)[some])


@pytest.mark.parametrize("name", ["close", "SMA(close, 3)", "close > open"])
def test_what_is_asked_twice_is_computed_once(name):
    evaluation = Evaluation({"day": random_bars(DAY, 9, 1)})
    first, again = (evaluation.values(parse(name, {"day": DAY})) for _ in range(2))
    assert first is again
