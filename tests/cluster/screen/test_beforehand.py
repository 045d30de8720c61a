from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.market.errors import UsageError
from actors.market.timeframe import Timeframe
from cluster import Screen
from cluster.screen.beforehand import needed_days, refuse, shortness
from cluster.screen.tree import Reach
from tests.cluster.screen.market import MONDAY

TWO = Screen("d.close > q.close", timeframes={"d": "1day", "q": "15minute"}, name="two")
GOLDEN = Screen.load("golden-cross")


def test_what_is_neither_fetched_nor_held_is_refused_by_name():
    with pytest.raises(UsageError, match="asks about 15minute; the config fetches 5minute, 1day$"):
        refuse(TWO, {"1day", "5minute"}, ())
    with pytest.raises(UsageError, match="asks about 1day; .*, the store holds 15minute$"):
        refuse(TWO, {"5minute"}, {"15minute"})
    refuse(TWO, {"1day"}, {"15minute"})


@given(st.integers(0, 400), st.sampled_from(["1day", "15minute", "75minute"]), st.integers(0, 6))
def test_so_many_days_hold_the_bars_and_hardly_more(back, label, shift):
    """With some 16 holidays a year, spread evenly, from whichever weekday on."""
    timeframe = Timeframe.parse(label)
    a_day = 375 // timeframe.minutes if timeframe.is_intraday else 1
    days = needed_days(timeframe, Reach(back))
    span = (MONDAY + timedelta(shift + n) for n in range(days))
    weekdays = sum(day.weekday() < 5 for day in span)
    bars = (weekdays - days * 16 / 365) * a_day
    assert bars >= back + 1 - 4 * a_day
    assert bars <= back + 1 + 4 * a_day


def test_it_is_said_where_there_will_be_too_few_days():
    last = MONDAY + timedelta(299)
    (said,) = shortness(GOLDEN, {"1day": (MONDAY + timedelta(200), last)})
    assert said.startswith("golden-cross looks back 201 bars of 1day, some 300 days")
    assert "there will be 100, from 2024-07-19 on" in said
    assert [*shortness(GOLDEN, {"1day": (MONDAY, last)})] == []


def test_a_year_is_a_year_of_the_calendar():
    """Whatever the number of bars."""
    assert needed_days(Timeframe.parse("1day"), Reach(0, 0, 365)) == 365
    assert needed_days(Timeframe.parse("1week"), Reach(51)) == 364
