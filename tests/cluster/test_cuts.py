from __future__ import annotations

from datetime import date
from itertools import pairwise

from dateutil.relativedelta import relativedelta
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.coverage import united
from cluster.cuts import add_months, calendar_period, cut, longest_first, longest_last

START = date(2023, 11, 20).toordinal()  # a leap February lies ahead

days = st.integers(date(1999, 12, 1).toordinal(), date(2032, 1, 1).toordinal())
terms = st.sampled_from([1, 3, 120])


def missing_days(length):
    some = st.one_of(st.integers(1, 3), st.integers(1, 45))
    pairs = st.lists(st.tuples(st.integers(2, 40), some), min_size=1, max_size=8)
    return pairs.map(lambda pairs: laid_out(pairs, length))


def laid_out(pairs, length):
    spans, at = [], START
    for held, missing in pairs:
        at += held * length
        spans.append((at, at + missing * length - 1))
        at += missing * length
    return united(spans)


missing_and_term = st.one_of(
    st.tuples(missing_days(1), st.just(1)),
    st.tuples(missing_days(3), st.just(3)),
)


def is_legal(first, last, months):
    """By another calendar arithmetic, both ways round."""
    a, b, term = date.fromordinal(first), date.fromordinal(last), relativedelta(months=months)
    return b < a + term and a > b - term


def is_crossing(first, last, months):
    a, b = date.fromordinal(first), date.fromordinal(last)
    unit = {1: lambda d: (d.year, d.month), 3: lambda d: (d.year, (d.month - 1) // 3)}[months]
    return unit(a) != unit(b)


def all_days(spans):
    return [day for first, last in spans for day in range(first, last + 1)]


@given(days, st.integers(-200, 200))
def test_adding_months_stays_within_the_month(day, months):
    on = date.fromordinal(day)
    assert add_months(on, months) == on + relativedelta(months=months)


@given(days, terms)
def test_the_longest_span_is_legal_and_a_day_more_is_not(first, months):
    last = longest_last(first, months)
    assert is_legal(first, last, months)
    assert not is_legal(first, last + 1, months)
    assert last - first <= {1: 30, 3: 91, 120: 3652}[months]


@given(days, terms)
def test_the_longest_span_backwards_is_legal_and_a_day_more_is_not(last, months):
    first = longest_first(last, months)
    assert is_legal(first, last, months)
    assert not is_legal(first - 1, last, months)


@given(days, terms)
def test_a_calendar_period_always_fits(day, months):
    on = date.fromordinal(day)
    month = {1: on.month, 3: (on.month - 1) // 3 * 3 + 1, 120: 1}[months]
    first = date(on.year // 10 * 10 if months == 120 else on.year, month, 1)
    last = first + relativedelta(months=months, days=-1)
    assert longest_last(first.toordinal(), months) == last.toordinal()
    periods = {calendar_period(d.toordinal(), months) for d in (first, on, last)}
    assert len(periods) == 1


def cheapest(points, months):
    """Least (spans, of them across periods) over every way to cut the days into legal runs."""
    term = relativedelta(months=months)
    on = [date.fromordinal(point) for point in points]
    too_late, too_early = [day + term for day in on], [day - term for day in on]
    costs = [(0, 0)]
    for end in range(len(points)):
        options = []
        for start in range(end, -1, -1):
            if on[end] >= too_late[start] or on[start] <= too_early[end]:
                break
            spans, crossing = costs[start]
            crosses = is_crossing(points[start], points[end], months)
            options.append((spans + 1, crossing + crosses))
        costs.append(min(options))
    return costs[-1]


@settings(deadline=None, max_examples=150)
@given(missing_and_term)
def test_no_cut_is_cheaper(case):
    missing, months = case
    spans = cut(missing, months)
    crossing = sum(is_crossing(*span, months) for span in spans)
    assert (len(spans), crossing) == cheapest(all_days(missing), months)


@given(missing_and_term)
def test_a_cut_covers_every_missing_day_once_and_begins_and_ends_on_one(case):
    missing, months = case
    spans = cut(missing, months)
    wanted = set(all_days(missing))
    assert wanted <= set(all_days(spans))
    assert all(first in wanted and last in wanted for first, last in spans)
    assert all(is_legal(*span, months) for span in spans)
    assert all(a[1] < b[0] for a, b in pairwise(spans))


@given(missing_and_term, st.data())
def test_what_is_left_after_any_spans_are_done_is_cut_into_the_same_rest(case, data):
    missing, months = case
    spans = cut(missing, months)
    left = [span for span in spans if data.draw(st.booleans())]
    wanted = set(all_days(missing))
    rest = united((day, day) for day in all_days(left) if day in wanted)
    assert list(cut(rest, months)) == left


def dates(spans):
    return [(str(date.fromordinal(a)), str(date.fromordinal(b))) for a, b in spans]


def span(first, last):
    return (date.fromisoformat(first).toordinal(), date.fromisoformat(last).toordinal())


def test_calendar_months_are_preferred_where_they_cost_no_more():
    assert dates(cut((span("2024-01-15", "2024-03-20"),), 1)) == [
        ("2024-01-15", "2024-01-31"),
        ("2024-02-01", "2024-02-29"),
        ("2024-03-01", "2024-03-20"),
    ]


def test_calendar_months_are_left_where_they_cost_a_request_more():
    assert dates(cut((span("2024-01-15", "2024-03-10"),), 1)) == [
        ("2024-01-15", "2024-02-14"),
        ("2024-02-15", "2024-03-10"),
    ]


def test_one_request_runs_over_a_held_gap():
    assert dates(cut((span("2024-05-02", "2024-05-03"), span("2024-05-30", "2024-05-31")), 1)) == [
        ("2024-05-02", "2024-05-31")
    ]


def test_of_equally_few_requests_the_fewest_cross_a_calendar_month():
    """Beginning with whole months would cross two later on."""
    missing = tuple(
        span(*days)
        for days in [
            ("2022-06-19", "2022-06-19"),
            ("2022-07-08", "2022-07-08"),
            ("2022-08-03", "2022-09-07"),
            ("2022-09-25", "2022-11-03"),
        ]
    )
    spans = cut(missing, 1)
    assert (len(spans), sum(is_crossing(*some, 1) for some in spans)) == cheapest(
        all_days(missing), 1
    )
    assert spans[0] == (missing[0][0], missing[1][1])


def test_without_a_limit_one_span_holds_all():
    missing = (span("2000-01-03", "2000-01-09"), span("2026-11-16", "2026-11-22"))
    assert dates(cut(missing, None)) == [("2000-01-03", "2026-11-22")]
    assert cut((), None) == cut((), 1) == ()
