from __future__ import annotations

import copy
import random
import time
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.limiter.windows import Spending
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


def play(spending, happenings, check=None):
    """Every request sent, after the happenings: what the limiter is told, and what is true."""
    now_ns, requests = 0, []
    for kind, later_ns, which in happenings:
        now_ns += later_ns
        waited_for = [r for r in requests if r.waited_for and now_ns <= r.granted_ns + LIFETIME]
        if kind == "grant":
            permit = spending.grant(now_ns)
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
                request.over_ns = now_ns + LIFETIME
                spending.give_up(request.permit, now_ns)
    return now_ns, requests


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
    _, requests = play(Spending(windows, LIFETIME), happenings)
    assert all(worst(w, [(r.granted_ns, r.over_ns) for r in requests]) <= w.limit for w in windows)


@settings(deadline=None, max_examples=60)
@given(some_windows, events, st.integers(-99, 99))
def test_nor_by_a_clock_of_another_rate(windows, happenings, parts_per_million):
    """The provider's seconds may be longer or shorter than ours by a ten-thousandth."""
    _, requests = play(Spending(windows, LIFETIME), happenings)

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

    play(Spending(windows, LIFETIME), happenings, check)


@settings(deadline=None, max_examples=120)
@given(some_windows, events)
def test_the_next_permit_is_free_exactly_when_it_is_said_to_be(windows, happenings):
    spending = Spending(windows, LIFETIME)
    now_ns, _ = play(spending, happenings)
    free_ns = spending.free_at(now_ns)
    assert free_ns >= now_ns
    if free_ns > now_ns:
        assert copy.deepcopy(spending).grant(free_ns - 1) is None
    assert spending.grant(free_ns) is not None


@settings(deadline=None, max_examples=60)
@given(some_windows, events)
def test_use_counts_what_the_rule_counts(windows, happenings):
    spending = Spending(windows, LIFETIME)
    now_ns, requests = play(spending, happenings)
    assert len(spending.use(now_ns)) == len(windows)
    for use in spending.use(now_ns):
        hold_ns = use.window.span_ns + use.window.span_ns // 10_000 + 5 * MS
        counted = [r.over_ns for r in requests if r.over_ns > now_ns - hold_ns]
        assert use.in_flight == sum(over_ns > now_ns for over_ns in counted)
        assert use.in_flight + use.recent == len(counted)
        assert use.left == use.window.limit - len(counted)
        assert use.frees_at_ns == (min(counted) + hold_ns if counted else None)


def one_a_second():
    return Spending((Window(1, NS_PER_S),), 60 * NS_PER_S)


def test_a_request_counts_from_its_end_and_not_from_its_grant():
    spending = one_a_second()
    permit = spending.grant(0)
    spending.end(permit, 3 * NS_PER_S)
    assert spending.free_at(3 * NS_PER_S) == 4 * NS_PER_S + 100_000 + 5 * MS


def test_a_permit_whose_holder_died_counts_for_its_lifetime_and_the_span():
    spending = one_a_second()
    spending.grant(0)
    assert spending.free_at(NS_PER_S) == 61 * NS_PER_S + 100_000 + 5 * MS


def test_a_request_given_up_counts_for_its_lifetime_from_then():
    spending = one_a_second()
    spending.give_up(spending.grant(0), 30 * NS_PER_S)
    assert spending.free_at(30 * NS_PER_S) == 91 * NS_PER_S + 100_000 + 5 * MS


def test_a_request_that_outlived_its_lifetime_counts_from_when_it_ended():
    spending = one_a_second()
    permit = spending.grant(0)
    late_ns = 3_600 * NS_PER_S
    assert spending.free_at(late_ns) == late_ns
    spending.end(permit, late_ns)
    assert spending.free_at(late_ns) > late_ns


def test_an_end_told_twice_counts_once():
    spending = one_a_second()
    permit = spending.grant(0)
    spending.end(permit, NS_PER_S)
    free_ns = spending.free_at(NS_PER_S)
    spending.end(permit, 2 * NS_PER_S)
    spending.give_up(permit, 2 * NS_PER_S)
    assert spending.free_at(2 * NS_PER_S) == free_ns


def test_a_clock_that_runs_backwards_frees_nothing():
    spending = one_a_second()
    spending.end(spending.grant(10 * NS_PER_S), 11 * NS_PER_S)
    assert spending.grant(0) is None
    assert spending.free_at(0) == 12 * NS_PER_S + 100_000 + 5 * MS


@pytest.mark.parametrize("window", [Window(0, NS_PER_S), Window(5, 0)])
def test_a_window_that_allows_nothing_is_refused(window):
    with pytest.raises(ValueError, match="at least 1"):
        Spending((window,), LIFETIME)


def test_an_operation_costs_microseconds_however_much_is_spent():
    """100,000 permits in a window: a list searched or copied per grant would take minutes."""
    spending = Spending((Window(200_000, 1_800 * NS_PER_S),), 60 * NS_PER_S)
    began_s, now_ns, open_permits = time.process_time(), 0, []
    draw = random.Random(7)
    for _ in range(100_000):
        now_ns += MS
        open_permits.append(spending.grant(now_ns))
        if len(open_permits) > 32:
            spending.end(open_permits.pop(draw.randrange(32)), now_ns)
    assert time.process_time() - began_s < 5
