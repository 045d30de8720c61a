from __future__ import annotations

import time
from collections import defaultdict
from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.market.instrument import Instrument
from actors.market.sessions import IST
from actors.market.timeframe import Timeframe
from actors.upstox.limits import reach
from cluster.coverage import held_days
from cluster.cuts import longest_last
from cluster.plan import Reason, Want, plan

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 19, 12, tzinfo=IST)  # a Thursday
YESTERDAY = date(2026, 11, 18)


def instrument(name):
    return Instrument(f"NSE_EQ|{name}", name, "NSE", "NSE_EQ", "EQ")


def wants(labels, first=None, last=None, names=("A",)):
    return [
        Want(instrument(name), Timeframe.parse(label), first, last)
        for name in names
        for label in labels
    ]


def receipts(chunks, fetched_at=NOW):
    held = defaultdict(list)
    for chunk in chunks:
        key = (chunk.instrument_key, chunk.timeframe.label)
        held[key].append((chunk.first, chunk.last, fetched_at))
    return held


def spans(result):
    return [(str(chunk.first), str(chunk.last)) for chunk in result.chunks]


def in_order(first, last):
    return (first, last) if first is None or last is None else sorted((first, last))


days = st.integers(0, 5_000).map(lambda n: date(2013, 4, 1) + n * DAY)
ends = st.none() | days
labels = st.sampled_from(["1minute", "15minute", "30minute", "2hour", "1day", "1week", "1month"])
asks = st.lists(
    st.builds(
        lambda name, label, first, last: Want(
            instrument(name), Timeframe.parse(label), *in_order(first, last)
        ),
        st.sampled_from("AB"),
        labels,
        ends,
        ends,
    ),
    max_size=5,
)
moments = st.integers(0, 1095 * 24 * 60).map(
    lambda n: datetime(2024, 1, 1, tzinfo=IST) + timedelta(minutes=n)
)


@settings(deadline=None, max_examples=60)
@given(asks, moments, st.integers(0, 3600))
def test_a_finished_plan_leaves_nothing_to_ask(some, now, later_s):
    """Unless a bar settles or a day ends in between."""
    done = plan(some, {}, now).chunks
    held = receipts(done, now + timedelta(seconds=later_s))
    assert plan(some, held, now + timedelta(seconds=later_s)).chunks == () or crosses_seam(
        now, now + timedelta(seconds=later_s)
    )


def crosses_seam(earlier, later):
    seams = [
        datetime(later.year, later.month, later.day, *at, tzinfo=IST) for at in ((0,), (8, 30))
    ]
    return any(earlier < seam <= later for seam in seams)


@settings(deadline=None, max_examples=60)
@given(asks, moments, st.data())
def test_a_killed_run_is_resumed_with_the_very_same_chunks(some, now, data):
    chunks = plan(some, {}, now).chunks
    left = [c for c in chunks if data.draw(st.booleans())]
    done = [c for c in chunks if c not in left]
    again = plan(some, receipts(done, now), now).chunks
    assert [c.id for c in again] == [c.id for c in left]


@settings(deadline=None, max_examples=60)
@given(asks, moments)
def test_every_wanted_day_the_provider_has_is_asked_exactly_once(some, now):
    asked = defaultdict(list)
    for chunk in plan(some, {}, now).chunks:
        day = chunk.first
        while day <= chunk.last:
            asked[chunk.instrument_key, chunk.timeframe].append(day)
            day += DAY
    for want in some:
        if want.first is None:
            continue
        mine = asked[want.instrument.instrument_key, want.timeframe]
        assert len(mine) == len(set(mine))
        today = now.date()
        day = max(want.first, reach(want.timeframe).earliest)
        wanted = []
        while day < today and (want.last is None or day <= want.last):
            wanted.append(day)
            day += DAY
        assert set(wanted) <= set(mine)
        assert all(d < today for d in mine)


def test_the_next_day_asks_for_the_day_that_passed_and_back_as_far_as_the_request_reaches():
    """No farther than was wanted, and in one request each."""
    some = wants(["5minute", "1day"], date(2026, 9, 1))
    held = receipts(plan(some, {}, NOW).chunks)
    assert [c.id for c in plan(some, held, NOW + DAY).chunks] == [
        "NSE_EQ|A/5minute/2026-10-20/2026-11-19",
        "NSE_EQ|A/1day/2026-09-01/2026-11-19",
    ]


def test_an_update_that_reaches_no_held_day_says_that_it_would_miss_a_split():
    """As of minutes on the first of each month; a daily request reaches back, for all timeframes."""
    minutes = wants(["1minute"], date(2026, 9, 1), names=["A", "B"])
    first_of = [datetime(2026, month, 1, 12, tzinfo=IST) for month in (11, 12)]
    begun = plan(minutes, {}, first_of[0])
    assert begun.notes == ()
    held = receipts(begun.chunks, first_of[0])
    late = plan(minutes, held, first_of[1])
    assert spans(late) == [("2026-11-01", "2026-11-30")] * 2
    (note,) = late.notes
    assert str(note).startswith("1minute: no request reaches days that are held")
    assert str(note).endswith("(2 instruments)")
    assert plan(minutes, held, first_of[1] - DAY).notes == ()  # thirty days reach back by one
    asked = receipts(late.chunks, first_of[1])
    whole = {series: spans_of + asked[series] for series, spans_of in held.items()}
    running = plan(minutes, whole, first_of[1], today=True)
    assert (len(running.chunks), running.notes) == (2, ())

    daily = wants(["1day"], date(2026, 9, 1), names=["A"])
    both = held | receipts(plan(daily, {}, first_of[0]).chunks, first_of[0])
    (note,) = plan(minutes + daily, both, first_of[1]).notes
    assert str(note).endswith("(1 instrument)")


@settings(deadline=None, max_examples=60)
@given(asks, moments, st.data())
def test_reaching_back_costs_no_request(some, now, data):
    """Over nights, with holes: as many chunks as without, none too long, no day twice."""
    chunks = plan(some, {}, now).chunks
    done = [c for c in chunks if data.draw(st.booleans())]
    nights = data.draw(st.integers(0, 40)) * DAY
    found = plan(some, receipts(done, now), now + nights).chunks
    fresh = {
        series: [(first, last, now + nights) for first, last in spans_of]
        for series, spans_of in held_spans(receipts(done, now), now + nights).items()
    }
    assert len(found) == len(plan(some, fresh, now + nights).chunks)
    asked = defaultdict(list)
    for chunk in found:
        months = reach(chunk.timeframe).max_months
        if months is not None:
            assert chunk.last.toordinal() <= longest_last(chunk.first.toordinal(), months)
        asked[chunk.instrument_key, chunk.timeframe].append((chunk.first, chunk.last))
    for mine in asked.values():
        assert all(one[1] < other[0] for one, other in pairwise(sorted(mine)))


def held_spans(held, now):
    """What is held at `now`, as spans without their stamps."""
    return {
        (key, label): [
            (date.fromordinal(first), date.fromordinal(last))
            for first, last in held_days(Timeframe.parse(label), answers, now)
        ]
        for (key, label), answers in held.items()
    }


def test_a_forming_bar_is_asked_again_from_its_start():
    some = wants(["1week", "1month"], date(2026, 9, 2))
    first = plan(some, {}, NOW)
    assert spans(first) == [("2026-08-31", "2026-11-18"), ("2026-09-01", "2026-11-18")]
    assert spans(plan(some, receipts(first.chunks), NOW + DAY)) == [
        ("2026-08-31", "2026-11-19"),
        ("2026-09-01", "2026-11-19"),
    ]
    before = NOW.replace(hour=8)  # so that nothing is from before the last night
    week = Want(instrument("A"), Timeframe.parse("1week"), date(2026, 11, 9))
    held = {("NSE_EQ|A", "1week"): [(date(2026, 11, 9), date(2026, 11, 17), before)]}
    assert spans(plan([week], held, before + DAY)) == [("2026-11-09", "2026-11-19")]


def test_a_closed_week_is_asked_whole_though_the_wish_ends_inside_it():
    assert spans(plan(wants(["1week"], date(2026, 9, 2), date(2026, 9, 9)), {}, NOW)) == [
        ("2026-08-31", "2026-09-13")
    ]


def test_a_week_is_asked_once_more_after_it_settled():
    some = wants(["1week"], date(2026, 11, 9))
    sunday = datetime(2026, 11, 23, 8, tzinfo=IST)  # Monday, before the week has settled
    held = receipts(plan(some, {}, sunday).chunks, sunday)
    assert plan(some, held, sunday).chunks == ()
    assert spans(plan(some, held, sunday + timedelta(hours=1))) == [("2026-11-09", "2026-11-22")]


def test_today_is_never_asked_and_that_is_said():
    result = plan(wants(["1day"], date(2026, 11, 1), date(2026, 11, 30), ["A", "B"]), {}, NOW)
    assert {c.last for c in result.chunks} == {YESTERDAY}
    (note,) = result.notes
    assert (note.reason, note.asked, note.instruments) == (Reason.NOT_YET_HISTORY, YESTERDAY, 2)
    assert str(note) == (
        "1day to 2026-11-30: today and later are not in the provider's history yet; "
        "asked to 2026-11-18 (2 instruments)"
    )


TODAY = NOW.date()


def test_today_is_asked_first_and_every_time_where_it_is_wanted():
    """Weeks and months have no bars of a running day; a day has one, but it is forming."""
    some = wants(["5minute", "1day", "1week"], date(2026, 11, 1))
    found = plan(some, {}, NOW, today=True)
    assert [c.id.removeprefix("NSE_EQ|A/") for c in found.chunks] == [
        "5minute/2026-11-19/2026-11-19",
        "5minute/2026-11-01/2026-11-18",
        "1day/2026-11-01/2026-11-18",
        "1week/2026-10-26/2026-11-18",
    ]
    held = receipts(found.chunks)
    again = plan(some, held, NOW, today=True).chunks
    assert [c.id for c in again] == ["NSE_EQ|A/5minute/2026-11-19/2026-11-19"]
    forming = plan(some, held, NOW, today="forming").chunks
    assert [c.timeframe.label for c in forming] == ["5minute", "1day"]
    assert plan(some, held, NOW).chunks == ()


def test_a_day_that_was_running_is_asked_of_history_when_it_is_over():
    some = wants(["5minute"], TODAY, None)
    held = receipts(plan(some, {}, NOW, today=True).chunks)
    assert spans(plan(some, held, NOW + DAY, today=True)) == [
        ("2026-11-20", "2026-11-20"),
        ("2026-11-19", "2026-11-19"),
    ]


@pytest.mark.parametrize(
    ("first", "last", "asked", "notes"),
    [
        (TODAY, TODAY, [str(TODAY)], []),
        (TODAY, TODAY + DAY, [str(TODAY)], [TODAY]),
        (YESTERDAY, YESTERDAY, [str(YESTERDAY)], []),
        (TODAY + DAY, TODAY + 2 * DAY, [], [None]),
        (None, TODAY, [str(TODAY), "2026-10-19"], []),
    ],
)
def test_today_is_asked_where_the_wish_includes_it(first, last, asked, notes):
    found = plan(wants(["5minute"], first, last), {}, NOW, today=True)
    assert [first for first, _ in spans(found)] == asked
    assert [note.asked for note in found.notes] == notes


def test_what_lies_before_the_providers_history_is_cut_off_and_that_is_said():
    result = plan(wants(["1minute"], date(2021, 6, 1), date(2022, 1, 20)), {}, NOW)
    assert spans(result) == [("2022-01-01", "2022-01-20")]
    (note,) = result.notes
    assert (note.reason, note.wanted, note.asked) == (
        Reason.BEFORE_HISTORY,
        date(2021, 6, 1),
        date(2022, 1, 1),
    )


@pytest.mark.parametrize(
    ("first", "last", "reason"),
    [
        (date(2020, 1, 1), date(2021, 1, 1), Reason.BEFORE_HISTORY),
        (date(2026, 11, 19), date(2026, 11, 19), Reason.NOT_YET_HISTORY),
        (date(2027, 1, 1), None, Reason.NOT_YET_HISTORY),
        (None, date(2021, 1, 1), Reason.BEFORE_HISTORY),
    ],
)
def test_a_wish_that_cannot_be_met_at_all_is_noted(first, last, reason):
    result = plan(wants(["1minute"], first, last), {}, NOW)
    assert result.chunks == ()
    (note,) = result.notes
    assert (note.reason, note.asked) == (reason, None)
    assert "nothing is asked" in str(note)


@pytest.mark.parametrize(
    ("label", "first"),
    [
        ("5minute", "2026-10-19"),
        ("1hour", "2026-08-19"),
        ("1day", "2016-11-19"),
        ("1month", "2000-01-01"),
    ],
)
def test_without_a_first_day_one_request_reaches_as_far_back_as_it_can(label, first):
    assert spans(plan(wants([label]), {}, NOW)) == [(first, "2026-11-18")]


def test_wants_of_the_same_instrument_and_timeframe_are_united():
    some = wants(["5minute"], date(2026, 9, 1), date(2026, 9, 20))
    some += wants(["5minute"], date(2026, 9, 10), date(2026, 9, 30))
    assert spans(plan(some, {}, NOW)) == [("2026-09-01", "2026-09-30")]


def test_chunks_come_by_timeframe_then_newest_period_then_instrument():
    result = plan(wants(["1day", "5minute"], date(2026, 10, 5), names=["B", "A"]), {}, NOW)
    assert [c.id.removeprefix("NSE_EQ|") for c in result.chunks] == [
        "B/1day/2026-10-05/2026-11-18",
        "A/1day/2026-10-05/2026-11-18",
        "B/5minute/2026-11-01/2026-11-18",
        "A/5minute/2026-11-01/2026-11-18",
        "B/5minute/2026-10-05/2026-10-31",
        "A/5minute/2026-10-05/2026-10-31",
    ]


def test_the_plan_says_what_it_comes_to():
    some = wants(["1day", "5minute"], date(2026, 10, 5), names=["A", "B"])
    done = [c for c in plan(some, {}, NOW).chunks if c.symbol == "A"]
    result = plan(some, receipts(done), NOW)
    assert (result.instruments, result.requests) == (2, 3)
    assert [
        (str(p.timeframe), p.instruments, p.complete, p.chunks) for p in result.by_timeframe
    ] == [
        ("1day", 2, 1, 1),
        ("5minute", 2, 1, 2),
    ]
    assert {(p.first, p.last) for p in result.by_timeframe} == {(date(2026, 10, 5), YESTERDAY)}


def test_a_whole_exchange_is_planned_in_seconds():
    """2,400 instruments, three timeframes, since 2022; half of it held, each with its own stamp."""
    names = [f"INE{n:06}" for n in range(2_400)]
    some = wants(["1day", "5minute", "30minute"], date(2022, 1, 1), names=names)
    chunks = plan(some, {}, NOW).chunks
    assert len(chunks) == 2_400 * (1 + 59 + 20)
    held = receipts(chunks[::2], NOW)
    began_s = time.process_time()
    assert len(plan(some, held, NOW).chunks) == len(chunks) // 2
    assert time.process_time() - began_s < 5
