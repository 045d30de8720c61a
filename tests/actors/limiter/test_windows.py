from __future__ import annotations

import copy
import random
import time
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.limiter.windows import Spending, Stage, hold_ns
from actors.market.window import NS_PER_S, Window

MS = 1_000_000
LIFETIME = 400 * MS

some_windows = st.lists(
    st.builds(Window, st.integers(1, 4), st.integers(1, 80).map(lambda ms: ms * MS)),
    min_size=1,
    max_size=2,
).map(tuple)

# What happens next, how long after the last, and to which of the permits.
events = st.lists(
    st.tuples(
        st.sampled_from(["grant", "grant", "end", "give up", "vanish"]),
        st.one_of(st.sampled_from([0, MS, 20 * MS]), st.integers(0, 60 * MS)),
        st.integers(0, 5),
    ),
    min_size=15,  # few happenings overfill nothing
    max_size=60,
)


@dataclass
class Request:
    permit: int
    granted_ns: int
    over_ns: int  # the latest moment at which it may arrive
    waited_for: bool = True


ON_ITS_WAY = 150 * MS
KEEP = 200 * MS  # more than any of these windows holds


def play(windows, happenings, check=None):
    """The spending and every request sent, after the happenings: what it is told, and what is true."""
    spending, now_ns, requests = Spending(KEEP), 0, []
    for kind, later_ns, which in happenings:
        now_ns += later_ns
        waited_for = [r for r in requests if r.waited_for and now_ns <= r.granted_ns + LIFETIME]
        if kind == "grant":
            permit = spending.grant(now_ns, windows, LIFETIME)
            if check is not None:
                check(now_ns, requests, permit)
            if permit is not None:
                requests.append(Request(permit, now_ns, now_ns + LIFETIME))
        elif waited_for:
            request = waited_for[which % len(waited_for)]
            request.waited_for = False
            if kind == "end":
                request.over_ns = now_ns
                spending.end(request.permit, now_ns)
            elif kind == "give up":
                request.over_ns = max(request.over_ns, now_ns + ON_ITS_WAY)
                spending.give_up(request.permit, now_ns, ON_ITS_WAY)
    return spending, now_ns, requests


def worst(window, times):
    """Most requests that could arrive within one half-open span, of those that may arrive at any
    moment between two given ones. The fullest span can be moved to begin at the latest moment of one.
    """
    return max(
        (
            sum(granted < begin + window.span_ns and begin <= over for granted, over in times)
            for _, begin in times
        ),
        default=0,
    )


@settings(deadline=None, max_examples=200)
@given(some_windows, events)
def test_no_window_is_ever_overfull_wherever_requests_arrive(windows, happenings):
    _, _, requests = play(windows, happenings)
    assert all(worst(w, [(r.granted_ns, r.over_ns) for r in requests]) <= w.limit for w in windows)


@settings(deadline=None, max_examples=60)
@given(some_windows, events, st.integers(-99, 99))
def test_nor_by_a_clock_of_another_rate(windows, happenings, parts_per_million):
    """The provider's seconds may be longer or shorter than ours by a ten-thousandth."""
    _, _, requests = play(windows, happenings)

    def theirs(ns):
        return ns + ns * parts_per_million // 1_000_000

    times = [(theirs(r.granted_ns), theirs(r.over_ns)) for r in requests]
    assert all(worst(w, times) <= w.limit for w in windows)


def is_full(window, requests, now_ns):
    """Rule H word by word, over everything ever granted, with the margin for the clocks."""
    hold_ns = window.span_ns + window.span_ns // 10_000 + 5 * MS
    in_flight = sum(r.over_ns > now_ns for r in requests)
    recent = sum(r.over_ns <= now_ns and r.over_ns > now_ns - hold_ns for r in requests)
    return in_flight + recent >= window.limit


@settings(deadline=None, max_examples=120)
@given(some_windows, events)
def test_a_permit_is_refused_only_where_the_rule_would_be_broken(windows, happenings):
    def check(now_ns, requests, permit):
        assert (permit is None) == any(is_full(w, requests, now_ns) for w in windows)

    play(windows, happenings, check)


@settings(deadline=None, max_examples=120)
@given(some_windows, events)
def test_the_next_permit_is_free_exactly_when_it_is_said_to_be(windows, happenings):
    spending, now_ns, _ = play(windows, happenings)
    free_ns = spending.free_at(now_ns, windows)
    assert free_ns >= now_ns
    if free_ns > now_ns:
        assert copy.deepcopy(spending).grant(free_ns - 1, windows, LIFETIME) is None
    assert spending.grant(free_ns, windows, LIFETIME) is not None


@settings(deadline=None, max_examples=120)
@given(some_windows, events, st.lists(st.integers(0, 400 * MS), max_size=8))
def test_whatever_ends_and_whenever_no_permit_is_free_before_the_best_moment(
    windows, happenings, ends
):
    """So a limiter that sleeps until then misses no slot that another process makes."""
    spending, now_ns, requests = play(windows, happenings)
    best_ns = spending.free_at_best(now_ns, windows)
    assert now_ns <= best_ns <= spending.free_at(now_ns, windows)
    under_way = [r for r in requests if r.waited_for]
    for request, later_ns in sorted(zip(under_way, ends, strict=False), key=lambda pair: pair[1]):
        if now_ns + later_ns < best_ns:
            spending.end(request.permit, now_ns + later_ns)
    if best_ns > now_ns:
        assert copy.deepcopy(spending).grant(best_ns - 1, windows, LIFETIME) is None


@settings(deadline=None, max_examples=60)
@given(some_windows, events)
def test_the_best_moment_is_right_when_all_that_is_under_way_ends_now(windows, happenings):
    spending, now_ns, requests = play(windows, happenings)
    best_ns = spending.free_at_best(now_ns, windows)
    for request in requests:
        if request.over_ns > now_ns:
            spending.record(request.permit, now_ns, Stage.OVER)
    assert best_ns == spending.free_at(now_ns, windows)


@settings(deadline=None, max_examples=60)
@given(some_windows, events)
def test_use_counts_what_the_rule_counts(windows, happenings):
    spending, now_ns, requests = play(windows, happenings)
    assert len(spending.use(now_ns, windows)) == len(windows)
    for use in spending.use(now_ns, windows):
        hold_ns = use.window.span_ns + use.window.span_ns // 10_000 + 5 * MS
        counted = [r.over_ns for r in requests if r.over_ns > now_ns - hold_ns]
        assert use.in_flight == sum(over_ns > now_ns for over_ns in counted)
        assert use.in_flight + use.recent == len(counted)
        assert use.left == use.window.limit - len(counted)
        assert use.frees_at_ns == (min(counted) + hold_ns if counted else None)
        assert use.empty_at_ns == (max(counted) + hold_ns if counted else None)
        permits = {r.permit for r in requests if r.over_ns > now_ns - hold_ns}
        assert set(spending.counting(now_ns, use.window)) == permits


SECOND = (Window(1, NS_PER_S),)
HOLD = hold_ns(*SECOND)
MINUTE = 60 * NS_PER_S


def granted_at(now_ns):
    """A spending of one permit, which lives for a minute."""
    spending = Spending(HOLD)
    return spending, spending.grant(now_ns, SECOND, MINUTE)


def free_at(spending, now_ns):
    return spending.free_at(now_ns, SECOND)


def test_the_margin_for_clocks_is_a_ten_thousandth_and_five_milliseconds():
    assert hold_ns(Window(5, 60 * NS_PER_S)) == 60 * NS_PER_S + 6 * MS + 5 * MS


def test_a_request_counts_from_its_end_and_not_from_its_grant():
    spending, permit = granted_at(0)
    spending.end(permit, 3 * NS_PER_S)
    assert free_at(spending, 3 * NS_PER_S) == 3 * NS_PER_S + HOLD


def test_a_permit_whose_holder_died_counts_for_its_lifetime_and_the_span():
    spending, _ = granted_at(0)
    assert free_at(spending, NS_PER_S) == MINUTE + HOLD


def test_a_request_given_up_counts_for_as_long_as_it_may_be_on_its_way():
    spending, permit = granted_at(0)
    spending.give_up(permit, 30 * NS_PER_S, 45 * NS_PER_S)
    assert free_at(spending, 30 * NS_PER_S) == 75 * NS_PER_S + HOLD


def test_giving_up_shortens_no_lifetime():
    spending, permit = granted_at(0)
    spending.give_up(permit, NS_PER_S, 5 * NS_PER_S)
    assert free_at(spending, NS_PER_S) == MINUTE + HOLD


def test_a_request_that_outlived_its_lifetime_counts_from_when_it_ended():
    spending, permit = granted_at(0)
    late_ns = 3_600 * NS_PER_S
    assert free_at(spending, late_ns) == late_ns
    spending.end(permit, late_ns)
    assert free_at(spending, late_ns) > late_ns


def test_an_end_told_twice_counts_once():
    spending, permit = granted_at(0)
    spending.end(permit, NS_PER_S)
    free_ns = free_at(spending, NS_PER_S)
    spending.end(permit, 2 * NS_PER_S)
    spending.give_up(permit, 2 * NS_PER_S, MINUTE)
    assert free_at(spending, 2 * NS_PER_S) == free_ns


def test_a_clock_that_runs_backwards_frees_nothing():
    spending, permit = granted_at(10 * NS_PER_S)
    spending.end(permit, 11 * NS_PER_S)
    assert spending.grant(0, SECOND, MINUTE) is None
    assert free_at(spending, 0) == 11 * NS_PER_S + HOLD


def test_for_a_prediction_what_is_waited_for_is_answered_soon_and_the_rest_is_not():
    spending = Spending(MINUTE)
    wide = (Window(9, NS_PER_S),)
    waited_for, given_up, ended = (spending.grant(0, wide, MINUTE) for _ in range(3))
    spending.give_up(given_up, 0, MINUTE)
    spending.end(ended, 0)
    assert waited_for is not None
    now_ns = 2 * NS_PER_S
    assert spending.overs(now_ns, 300 * MS) == (-now_ns, 300 * MS, MINUTE - now_ns)


def test_an_operation_costs_microseconds_however_much_is_spent():
    """100,000 permits in a window: a list searched or copied per grant would take minutes."""
    windows = (Window(200_000, 1_800 * NS_PER_S),)
    spending = Spending(hold_ns(*windows))
    began_s, now_ns, open_permits = time.process_time(), 0, []
    draw = random.Random(7)
    for _ in range(100_000):
        now_ns += MS
        open_permits.append(spending.grant(now_ns, windows, MINUTE))
        if len(open_permits) > 32:
            spending.end(open_permits.pop(draw.randrange(32)), now_ns)
    assert time.process_time() - began_s < 5
