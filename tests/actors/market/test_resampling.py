from __future__ import annotations

from datetime import date, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.market.candles import BARS
from actors.market.resampling import resampled
from actors.market.sessions import IST
from cluster.lookalike.market import Market
from cluster.lookalike.trading_days import SPECIAL_SESSIONS

MARKET = Market(seed=11)
SHARE, INDEX, FUTURE = "NSE_EQ|INE062A01020", "NSE_INDEX|Nifty 50", "NSE_FO|67003"
THIN = "NSE_EQ|INE059A01026"
OPENINGS = {day: session.opens_at for day, (_, session) in SPECIAL_SESSIONS.items()}

days = st.lists(st.dates(date(2024, 1, 1), date(2024, 1, 9)), min_size=1, max_size=4, unique=True)
minutes = st.sets(st.integers(540, 940), max_size=40)
prices = st.integers(1, 500).map(lambda n: n / 4)


@st.composite
def sparse_minutes(draw):
    rows = []
    for day in sorted(draw(days)):
        for minute in sorted(draw(minutes)):
            ts = datetime(day.year, day.month, day.day, tzinfo=IST) + timedelta(minutes=minute)
            opened, high, low, close = (draw(prices) for _ in range(4))
            rows.append(
                [ts, opened, high, low, close, draw(st.integers(0, 9)), draw(st.integers(0, 9))]
            )
    return pa.table([list(column) for column in zip(*rows, strict=True)] or [[]] * 7, schema=BARS)


@given(
    sparse_minutes(),
    st.integers(1, 300),
    st.dictionaries(st.dates(date(2024, 1, 1), date(2024, 1, 9)), st.integers(500, 700)),
)
def test_longer_bars_are_those_a_loop_over_the_minutes_makes(table, length, openings):
    """First, greatest, least, last and sum of the minutes from one mark of the day's grid to the next."""
    expected = {}
    for ts, opened, high, low, close, volume, oi in zip(*table.to_pydict().values(), strict=True):
        clock = ts.astimezone(IST)
        opens_at = openings.get(clock.date(), 555)
        since = clock.hour * 60 + clock.minute - opens_at
        start = ts - timedelta(minutes=since - since // length * length)
        bar = expected.setdefault(start, [opened, high, low, close, 0, oi])
        bar[1], bar[2], bar[3] = max(bar[1], high), min(bar[2], low), close
        bar[4], bar[5] = bar[4] + volume, oi
    found = resampled(table, length, openings, 555)
    assert found.schema == BARS
    assert [tuple(row.values()) for row in found.to_pylist()] == [
        (start, *bar) for start, bar in expected.items()
    ]


def bars(candles):
    stamps = pa.array(candles.ts * 1_000_000).cast(BARS.field("ts").type)
    return pa.table([stamps, *map(pa.array, candles[1:])], schema=BARS)


@pytest.mark.parametrize("key", [SHARE, INDEX, FUTURE, THIN])
@pytest.mark.parametrize(
    ("unit", "interval"),
    [("minutes", 3), ("minutes", 5), ("minutes", 15), ("minutes", 30), ("hours", 1), ("hours", 4)],
)
def test_they_equal_the_exchanges_own_on_every_kind_of_session(key, unit, interval):
    """Evenings of Diwali, Saturdays, days without a trade and minutes without one among them."""
    length = interval * (60 if unit == "hours" else 1)
    seen = 0
    for first, last in [
        (date(2023, 11, 1), date(2023, 11, 30)),
        (date(2024, 1, 1), date(2024, 3, 31)),
        (date(2024, 10, 20), date(2024, 11, 10)),
        (date(2025, 10, 10), date(2025, 10, 31)),
        (date(2026, 2, 1), date(2026, 2, 28)),
    ]:
        made = resampled(
            bars(MARKET.candles(key, "minutes", 1, first, last)), length, OPENINGS, 555
        )
        assert made.equals(bars(MARKET.candles(key, unit, interval, first, last)))
        seen += made.num_rows
    assert seen > 20
