"""What differs between rows that stand and rows that came, against dictionaries."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from actors.market.candles import CANDLES
from actors.market.timeframe import Timeframe
from actors.writer.difference import STANDING, Standing, compare, rows_of
from actors.writer.predicate import Days

DAWN = date(2024, 1, 1)
HOUR = Timeframe.parse("1hour")

#: (day, bar of the day) -> (price, final)
bars = st.dictionaries(
    st.tuples(st.integers(0, 5), st.integers(0, 2)),
    st.tuples(st.sampled_from([10.0, 20.0, 40.0]), st.booleans()),
    max_size=12,
)


def table(rows, key="N|A", timeframe="1hour"):
    made = [
        {
            "instrument_key": key,
            "symbol": "A",
            "timeframe": timeframe,
            "period": "2024-01",
            "date": DAWN + timedelta(day),
            "ts": datetime(2024, 1, 1, 4 + bar, tzinfo=UTC) + timedelta(day),
            **dict.fromkeys(["open", "high", "low", "close"], price),
            "volume": int(1000 / price),
            "oi": 0,
            "final": final,
        }
        for (day, bar), (price, final) in sorted(rows.items())
    ]
    return pa.Table.from_pylist(made, schema=CANDLES)


def days_of(places):
    return Counter(day for day, _ in places)


@given(bars, bars)
def test_a_difference_is_what_comparing_one_by_one_finds(old, new):
    found = compare(rows_of(table(old)), rows_of(table(new)))
    differing = {at for at in old.keys() | new.keys() if old.get(at) != new.get(at)}
    days = {day for day, _ in differing}
    assert found.first == (DAWN + timedelta(min(days)) if days else None)
    assert found.appends == all(day < min(days, default=9) for day, _ in old)

    changed = {at for at in old.keys() & new.keys() if old[at][1] and old[at][0] != new[at][0]}
    gone = {at for at in old.keys() - new.keys() if old[at][1]}
    final_days = {d for d, _ in old if all(final for (n, _), (_, final) in old.items() if n == d)}
    come = {at for at in new.keys() - old.keys() if at[0] in final_days}
    revised = changed | gone | come
    assert found.revised == len(revised)
    if revised:
        of = [day for day, _ in revised]
        assert found.revised_days == (DAWN + timedelta(min(of)), DAWN + timedelta(max(of)))
    both = [at for at in old.keys() & new.keys() if old[at][1] and new[at][1]]
    days = sorted({day for day, _ in both})
    other = [
        d for d in days if 2 * sum(at in changed for at in both if at[0] == d) > days_of(both)[d]
    ]
    of_oldest = {new[at][0] / old[at][0] for at in changed & {*both} if at[0] in days[:1]}
    most = len(other) > 1 and 2 * len(other) > len(days)
    assert found.reaches_back == (days[:1] == other[:1] != [] and (most or len(of_oldest) == 1))
    ratios = sorted(new[at][0] / old[at][0] for at in changed)
    if ratios:
        assert ratios[0] <= found.ratio <= ratios[-1]
    else:
        assert found.ratio is None


@given(bars, bars, st.integers(0, 5), st.integers(0, 5))
def test_rows_are_found_by_series_and_days_in_order(one, other, first, last):
    days = Days("N|B", HOUR, DAWN + timedelta(first), DAWN + timedelta(last))
    tables = [table(one), table(other, "N|B"), table(one, "N|B", "2hour"), table(one, "N|C")]
    rows = pa.concat_tables(tables).select(STANDING.names)
    found = Standing(rows.sort_by([("ts", "descending"), ("close", "ascending")])).of(days)
    wanted = {at: bar for at, bar in other.items() if first <= at[0] <= last}
    assert found["ts"].tolist() == rows_of(table(wanted))["ts"].tolist()
    assert found["close"].tolist() == rows_of(table(wanted))["close"].tolist()


def test_a_split_is_seen_with_its_ratio():
    old = {(day, bar): (40.0, True) for day in range(4) for bar in range(3)}
    new = {(day, bar): (20.0, True) for day in range(5) for bar in range(3)}
    found = compare(rows_of(table(old)), rows_of(table(new)))
    assert (found.revised, found.ratio, found.reaches_back) == (12, 0.5, True)


def test_a_few_bars_of_the_oldest_day_put_no_older_ones_in_doubt():
    """Changed, come late or gone: a split changes all of them."""
    old = {(day, bar): (40.0, True) for day in range(4) for bar in range(1, 5)}
    corrected = old | {(0, 1): (41.0, True)}
    late = old | {(0, 0): (40.0, True)}
    gone = {at: bar for at, bar in old.items() if at != (0, 1)}
    for new in (corrected, late, gone):
        found = compare(rows_of(table(old)), rows_of(table(new)))
        assert (found.revised, found.reaches_back) == (1, False)
    split = {at: (20.0, True) for at in old if at != (0, 1)}
    assert compare(rows_of(table(old)), rows_of(table(split))).reaches_back


@given(
    st.integers(1, 60),
    st.sampled_from([2.0, 0.5, 1 / 3, 0.1, 0.8, 0.97]),
    st.lists(st.floats(20, 5000), min_size=60, max_size=60),
)
def test_splits_are_told_from_corrections_whatever_the_days(count, ratio, prices):
    """One bar that the exchange has corrected is no rewriting, be it the oldest or the only one."""
    old = rows_of(table({(day, 0): (10.0, True) for day in range(count)}))
    closes = np.round(np.array(prices[:count]), 2)
    factors = {"open": 0.99, "high": 1.03, "low": 0.97, "close": 1.0}
    old |= {name: np.round(closes * factor, 2) for name, factor in factors.items()}
    split = {name: np.round(old[name] * ratio / 0.05) * 0.05 for name in factors}
    volume = np.round(old["volume"] / ratio).astype(int)
    assert compare(old, old | split | {"volume": volume}).reaches_back
    for place in {0, count // 2, count - 1}:
        for name, by in (("volume", 2), ("close", 1.01), ("low", 0.9), ("open", ratio)):
            corrected = old[name].copy()
            corrected[place] = (corrected[place] * by).astype(corrected.dtype)
            found = compare(old, old | {name: corrected})
            assert (found.revised, found.reaches_back) == (1, False)


def test_new_days_beside_equal_ones_are_appended():
    old = {(day, 0): (40.0, True) for day in range(4)}
    new = old | {(4, 0): (10.0, True)}
    found = compare(rows_of(table(old)), rows_of(table(new)))
    assert (found.first, found.appends, found.revised) == (DAWN + timedelta(4), True, 0)


@given(
    st.sampled_from([1, 22]),
    st.floats(20, 5000),
    st.lists(st.integers(-3, 3), min_size=4, max_size=4),
)
def test_a_day_whose_prices_were_all_corrected_is_no_rewriting(count, close, ticks):
    """Within a percent, each by its own ticks: it is one only if a single ratio explains them all."""
    old = rows_of(table({(day, 0): (10.0, True) for day in range(count)}))
    prices = np.round(np.array([close, close * 1.01, close * 0.99, close]) / 0.05) * 0.05
    names = ["open", "high", "low", "close"]
    old |= {name: np.full(count, price) for name, price in zip(names, prices, strict=True)}
    new = {name: old[name].copy() for name in names}
    for name, by in zip(names, ticks, strict=True):
        new[name][0] += by * 0.05
    found = compare(old, old | new)
    if found.reaches_back:
        assert all(ticks)
        assert abs(ticks[3]) > 1
        assert all(abs(by - ticks[3]) <= 2 for by in ticks)


def test_a_bar_corrected_in_all_its_prices_puts_no_older_ones_in_doubt():
    old = rows_of(table({(day, 0): (100.0, True) for day in range(22)}))
    old |= {"high": np.full(22, 101.0), "low": np.full(22, 99.0)}
    new = {name: old[name].copy() for name in ("open", "high", "low", "close")}
    for name, price in {"open": 100.2, "high": 101.5, "low": 98.7, "close": 100.4}.items():
        new[name][0] = price
    assert compare(old, old | new).reaches_back is False
