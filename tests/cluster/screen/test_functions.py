"""Our own functions, against what they mean, written down as naively as can be."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.market.candles import TS
from cluster.screen.bars import Bars
from cluster.screen.evaluation import Evaluation
from cluster.screen.parsing import parse
from tests.cluster.screen.market import (
    DAY,
    HOUR,
    KEYS,
    QUARTER,
    bars_of,
    random_bars,
    stamps,
    walk,
    weekdays,
)

MONDAY_US = 1_704_047_400_000_000
NAN = math.nan


def each_bar(bars, formula):
    """`formula` of the bars of one instrument up to and with each, the last one included."""
    found = []
    for i, _ in enumerate(bars.keys):
        rows = [
            {name: values[at] for name, values in bars.columns.items()}
            | {"day": bars.day[at], "end": bars.end[at], "ts": bars.ts[at]}
            for at in range(bars.starts[i], bars.starts[i + 1])
        ]
        found += [formula(rows[: at + 1]) for at in range(len(rows))]
    return found


def session(rows):
    return [row for row in rows if row["day"] == rows[-1]["day"]]


def mean(values):
    return sum(values) / len(values) if values and sum(values) else NAN


def gap(rows):
    before = rows[: len(rows) - len(session(rows))]
    return 100 * (session(rows)[0]["open"] / before[-1]["close"] - 1) if before else NAN


def vwap(rows):
    mine = session(rows)
    money = sum((r["high"] + r["low"] + r["close"]) / 3 * r["volume"] for r in mine)
    return money / sum(r["volume"] for r in mine)


def opening(name, pick):
    """Of the first hour; a regular session opens at 09:15 whenever the first trade was."""

    def formula(rows):
        until = (int(rows[-1]["day"]) * 86_400 + (555 + 60) * 60 - 19_800) * 1_000_000
        first = [row[name] for row in session(rows) if row["ts"] < until]
        return pick(first) if first and rows[-1]["end"] >= until else NAN

    return formula


def year(name, pick):
    def formula(rows):
        mine = [row[name] for row in rows if row["day"] > rows[-1]["day"] - 364]
        return pick(mine) if rows[0]["day"] <= rows[-1]["day"] - 364 else NAN

    return formula


def crossing(rows):
    if len(rows) < 2:
        return NAN
    return float(rows[-2]["close"] <= rows[-2]["open"] and rows[-1]["close"] > rows[-1]["open"])


def after(count, formula):
    """Unknown as long as there are no more than `count` bars."""
    return lambda rows: formula(rows) if len(rows) > count else NAN


OVER_ANY = {
    "highest(high, 3)": after(2, lambda r: max(x["high"] for x in r[-3:])),
    "lowest(low, 3)": after(2, lambda r: min(x["low"] for x in r[-3:])),
    "highest(high, 1)": lambda r: r[-1]["high"],
    "change_pct(close)": after(1, lambda r: 100 * (r[-1]["close"] / r[-2]["close"] - 1)),
    "change_pct(close, 4)": after(4, lambda r: 100 * (r[-1]["close"] / r[-5]["close"] - 1)),
    "relative_volume(4)": after(
        4, lambda r: r[-1]["volume"] / mean([x["volume"] for x in r[-5:-1]])
    ),
    "count(close > open, 4)": after(3, lambda r: sum(x["close"] > x["open"] for x in r[-4:])),
    "crosses_above(close, open)": crossing,
    "crosses_below(open, close)": crossing,
    "gap_pct()": gap,
    "least(open, close)": lambda r: min(r[-1]["open"], r[-1]["close"]),
    "greatest(open, close)": lambda r: max(r[-1]["open"], r[-1]["close"]),
    "abs(open - close)": lambda r: abs(r[-1]["open"] - r[-1]["close"]),
    "log(close)": lambda r: math.log(r[-1]["close"]),
    "close[2]": after(2, lambda r: r[-3]["close"]),
}
OVER_MINUTES = {
    "vwap()": vwap,
    "session_bar()": lambda r: len(session(r)),
    "opening_high(60)": opening("high", max),
    "opening_low(60)": opening("low", min),
}
OVER_DAYS = {"high_52w()": year("high", max), "low_52w()": year("low", min)}


def check(timeframe, name, bars, formulas):
    evaluation = Evaluation({name: bars})
    for text, formula in formulas.items():
        found = evaluation.values(parse(text, {name: timeframe}))
        expected = each_bar(bars, formula)
        np.testing.assert_allclose(found, expected, rtol=1e-9, err_msg=text)


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.sampled_from([0.3, 0.9, 1.0]))
def test_over_days(seed, share):
    """Also where an instrument has hardly a bar, or none."""
    check(DAY, "day", random_bars(DAY, 12, seed, share), OVER_ANY)


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.sampled_from([0.1, 0.6, 1.0]))
def test_over_minutes(seed, share):
    """Sessions of which the first bars are missing, too."""
    check(QUARTER, "quarter", random_bars(QUARTER, 3, seed, share), OVER_ANY | OVER_MINUTES)


@settings(max_examples=4)
@given(st.integers(0, 2**32))
def test_over_a_year(seed):
    check(DAY, "day", random_bars(DAY, 290, seed, 0.95), OVER_DAYS)


def test_an_evening_session_opens_with_its_first_bar():
    """As on Diwali; elsewhere the opening range would never have been."""
    evening = [when + timedelta(hours=9) for when in stamps(QUARTER, weekdays(1), minutes=60)]
    prices = walk(len(evening))
    bars = bars_of(QUARTER, [(evening, prices)])
    found = Evaluation({"q": bars}).values(parse("opening_high(30)", {"q": QUARTER}))
    high = max(prices["high"][:2])
    np.testing.assert_array_equal(found, [NAN, high, high, high])


def test_the_short_last_bar_of_a_session_ends_with_it():
    """Hours are counted from 09:15, so the last one has fifteen minutes."""
    bars = bars_of(HOUR, [(stamps(HOUR, weekdays(1)), walk(7))])
    assert bars.end[-1] - bars.ts[-1] == 15 * 60 * 1_000_000
    assert set(bars.end[:-1] - bars.ts[:-1]) == {60 * 60 * 1_000_000}


def test_a_hole_makes_windows_unknown_and_spoils_nothing_after_them():
    """A bar without volume has no price by volume; three bars later it is forgotten."""
    prices = walk(10)
    prices["volume"][4] = 0
    bars = bars_of(DAY, [(stamps(DAY, weekdays(10)), prices)])
    evaluation = Evaluation({"day": bars})
    for text in (
        "SMA(close / volume, 3)",
        "highest(close / volume, 3)",
        "count(close / volume > 1, 3)",
    ):
        found = evaluation.values(parse(text, {"day": DAY}))
        assert np.isnan(found).tolist() == [i in {0, 1, 4, 5, 6} for i in range(10)]


@pytest.mark.parametrize("text", [*OVER_ANY, *OVER_MINUTES, *OVER_DAYS])
def test_no_bars_at_all_are_borne(text):
    bars = bars_of(QUARTER, [([], walk(0)) for _ in KEYS])
    assert len(Evaluation({"q": bars}).values(parse(text, {"q": QUARTER}))) == 0


def test_there_may_be_any_number_of_instruments():
    """None of them takes the bars of another."""
    count = 70_000
    rows = {"instrument_key": [f"NSE_EQ|{n:06}" for n in range(count)], "final": [True] * count}
    stamps_us = pa.array([MONDAY_US + n for n in range(count)][::-1], TS)
    candles = pa.table(rows | {"ts": stamps_us, "close": [float(n) for n in range(count)]})
    order = np.random.default_rng(0).permutation(count)
    bars = Bars.of(DAY, tuple(rows["instrument_key"]), candles.take(order))
    assert set(bars.counts.tolist()) == {1}
    assert bars.columns["close"].tolist() == [float(n) for n in range(count)]
