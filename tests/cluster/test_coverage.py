from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from actors.market.sessions import IST
from actors.market.timeframe import Timeframe
from cluster.coverage import held_days, intersected, old_days, subtracted, united

DAY = timedelta(days=1)
ORIGIN = date(2024, 1, 25)  # a week and a month end soon after

spans = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=8)
days = st.integers(0, 45).map(lambda n: ORIGIN + n * DAY)
moments = st.integers(0, 47 * 24 * 60).map(
    lambda n: datetime(2024, 1, 26, tzinfo=UTC) + timedelta(minutes=n)
)
holdings = st.lists(st.tuples(days, days, moments), max_size=5)
timeframes = st.sampled_from(["5minute", "1hour", "1day", "1week", "1month"]).map(Timeframe.parse)


def day_set(some):
    return {day for first, last in some for day in range(first, last + 1)}


@given(spans)
def test_united_spans_hold_the_same_days_in_order_and_apart(some):
    result = united(some)
    assert day_set(result) == day_set(some)
    assert all(a[1] + 1 < b[0] for a, b in pairwise(result))
    assert all(first <= last for first, last in result)


@given(spans, spans)
def test_subtracting_leaves_exactly_the_days_not_taken(some, taken):
    result = subtracted(united(some), united(taken))
    assert day_set(result) == day_set(some) - day_set(taken)
    assert result == united(result)


@given(spans, spans)
def test_intersecting_leaves_exactly_the_days_in_both(some, others):
    result = intersected(united(some), united(others))
    assert day_set(result) == day_set(some) & day_set(others)
    assert result == united(result)


@settings(deadline=None)
@given(holdings, moments)
def test_old_days_were_answered_before_the_last_half_past_eight(answers, now):
    today = now.astimezone(IST)
    morning = today.replace(hour=8, minute=30, second=0, microsecond=0)
    morning = morning if morning <= now else morning - DAY
    expected = {
        day.toordinal()
        for first, last, at in answers
        if at < morning
        for n in range((last - first).days + 1)
        for day in [first + n * DAY]
    }
    assert day_set(old_days(answers, now)) == expected


def bar_of(timeframe, day):
    """All days of the day's bar, found by looking at every day around."""

    def same(other):
        match timeframe.label:
            case "1week":
                return other.isocalendar()[:2] == day.isocalendar()[:2]
            case "1month":
                return (other.year, other.month) == (day.year, day.month)
            case _:
                return other == day

    return [other for n in range(-31, 32) if same(other := day + n * DAY)]


def is_held(timeframe, day, receipts, now):
    """One receipt must have seen every day of the bar that has passed, and the bar be settled by
    then, or not even now."""
    bar = bar_of(timeframe, day)
    after = bar[-1] + DAY
    settled = datetime(after.year, after.month, after.day, 8, 30, tzinfo=IST)
    passed = [d for d in bar if d < now.astimezone(IST).date()]
    return any(
        all(first <= d <= last and d < fetched_at.astimezone(IST).date() for d in passed)
        and (settled <= fetched_at or now < settled)
        for first, last, fetched_at in receipts
    )


WEDNESDAY = datetime(2024, 2, 7, 12, tzinfo=IST)


@settings(deadline=None)
@given(timeframes, holdings, moments)
@example(
    Timeframe.parse("1week"),
    [(date(2024, 2, 5), date(2024, 2, 6), WEDNESDAY)],
    WEDNESDAY + DAY,
)
def test_held_days_are_those_no_later_answer_could_change(timeframe, receipts, now):
    receipts = [r for r in receipts if r[2] <= now]
    result = day_set(held_days(timeframe, receipts, now))
    today = now.astimezone(IST).date()
    some = [ORIGIN + n * DAY for n in range(-31, 46) if ORIGIN + n * DAY < today]
    expected = {day for day in some if is_held(timeframe, day, receipts, now)}
    assert {day for day in some if day.toordinal() in result} == expected


def held_after(label, first, last, fetched_at, now):
    spans = held_days(Timeframe.parse(label), [(first, last, fetched_at)], now)
    return [(date.fromordinal(a), date.fromordinal(b)) for a, b in spans]


MONDAY, TUESDAY = date(2024, 2, 5), date(2024, 2, 6)


def test_yesterday_fetched_before_it_settled_is_held_until_it_settles():
    early = datetime(2024, 2, 7, 7, tzinfo=IST)
    assert held_after("1day", MONDAY, TUESDAY, early, early) == [(MONDAY, TUESDAY)]
    at_half_past_eight = datetime(2024, 2, 7, 8, 30, tzinfo=IST)
    assert held_after("1day", MONDAY, TUESDAY, early, at_half_past_eight) == [(MONDAY, MONDAY)]


def test_a_forming_week_is_held_only_until_the_day_ends():
    assert held_after("1week", MONDAY, TUESDAY, WEDNESDAY, WEDNESDAY) == [(MONDAY, TUESDAY)]
    assert held_after("1week", MONDAY, TUESDAY, WEDNESDAY, WEDNESDAY + DAY) == []


def test_a_closed_month_is_asked_once_more_after_it_settled():
    first, last = date(2024, 1, 1), date(2024, 1, 31)
    before = datetime(2024, 2, 1, 8, tzinfo=IST)
    assert held_after("1month", first, last, before, before) == [(first, last)]
    after = datetime(2024, 2, 1, 9, tzinfo=IST)
    assert held_after("1month", first, last, before, after) == []
    assert held_after("1month", first, last, after, after + 300 * DAY) == [(first, last)]
