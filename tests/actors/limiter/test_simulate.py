from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.limiter.simulate import Contender, Course, _play, seconds_at_least, seconds_expected
from actors.limiter.turns import Priority
from actors.limiter.windows import Spending, hold_ns
from actors.market.window import NS_PER_S, Window
from actors.upstox.limits import PUBLISHED

some_windows = st.lists(
    st.builds(Window, st.integers(1, 6), st.integers(1, 5 * NS_PER_S)), min_size=1, max_size=3
).map(tuple)


@pytest.mark.parametrize(
    ("requests", "seconds"),
    # Whole spans waited for: none; one of a second; nine; three minutes and nine; half an hour.
    [(50, 0), (51, 1), (500, 9), (2_000, 3 * 60 + 9), (2_001, 1_800), (30_000, 14 * 1_800 + 189)],
)
def test_the_least_time_under_the_published_limits(requests, seconds):
    """Each span waited for carries the margin for clocks: 0.51 % at most."""
    least_s = seconds_at_least(requests, PUBLISHED)
    assert seconds <= least_s <= seconds * 1.0056


def test_what_is_spent_already_delays_the_rest():
    fresh_s = seconds_at_least(1_500, PUBLISHED)
    spent_ns = (-600 * NS_PER_S,) * 1_000  # ten minutes ago
    assert seconds_at_least(1_500, PUBLISHED, spent_ns) > 1_200 > fresh_s


@settings(deadline=None)
@given(some_windows, st.integers(1, 40), st.integers(1, 4), st.integers(0, 2 * NS_PER_S))
def test_the_prediction_is_what_the_rule_then_does(windows, requests, lanes, latency_ns):
    """Lanes that send, wait for the answer, report its end, and send again."""
    spending = Spending(max(map(hold_ns, windows)) + latency_ns)
    under_way: list[tuple[int, int]] = []
    now_ns, sent = 0, 0
    while sent < requests or under_way:
        ended = [item for item in under_way if item[0] <= now_ns]
        for item in ended:
            under_way.remove(item)
            spending.end(item[1], item[0])
        while sent < requests and len(under_way) < lanes:
            permit = spending.grant(now_ns, windows, 3_600 * NS_PER_S)
            if permit is None:
                break
            sent += 1
            under_way.append((now_ns + latency_ns, permit))
        wakes = [at for at, _ in under_way]
        if sent < requests and len(under_way) < lanes:
            wakes.append(spending.free_at(now_ns, windows))
        now_ns = max(now_ns, min(wakes, default=now_ns))
    played = _play(requests, windows, Course(latency_ns=latency_ns, lanes=lanes))
    assert played[-1] == now_ns


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 12_000), st.integers(0, 2_000), st.sampled_from([0, 200, 900]))
def test_of_many_requests_a_part_tells_the_rest(requests, spent, latency_ms):
    """Held against playing every one of them."""
    course = Course(
        spent_ns=tuple(-i * NS_PER_S // 3 for i in reversed(range(spent))),
        latency_ns=latency_ms * 1_000_000,
        lanes=16,
    )
    whole_s = _play(requests, PUBLISHED, course)[-1] / NS_PER_S
    assert seconds_expected(requests, PUBLISHED, course) == pytest.approx(whole_s, rel=0.001)


def test_a_long_plan_is_predicted_in_a_moment():
    """All of NSE by the minute: too often asked for to take longer."""
    began_s = time.process_time()
    assert seconds_at_least(300_000, PUBLISHED) > 250_000
    assert time.process_time() - began_s < 0.5


SLOW = (Window(10, NS_PER_S),)


def test_an_equal_rival_takes_every_second_permit_while_it_needs_any():
    alone_s = seconds_expected(100, SLOW, Course())
    beside_s = seconds_expected(100, SLOW, Course(rivals=(Contender(Priority.INTERACTIVE, 1_000),)))
    briefly_s = seconds_expected(100, SLOW, Course(rivals=(Contender(Priority.INTERACTIVE, 20),)))
    assert beside_s == pytest.approx(2 * alone_s, abs=1.1)
    assert briefly_s == pytest.approx(1.2 * alone_s, abs=1.1)


def test_a_backfill_hardly_delays_an_interactive_run_but_is_delayed_by_it():
    backfill = Contender(Priority.BACKFILL, 1_000)
    ours_s = seconds_expected(160, SLOW, Course(rivals=(backfill,)))
    assert ours_s == pytest.approx(17, abs=1.1)
    interactive = Contender(Priority.INTERACTIVE, 1_000)
    theirs_s = seconds_expected(10, SLOW, Course(priority=Priority.BACKFILL, rivals=(interactive,)))
    assert theirs_s > 15


def test_nothing_is_expected_before_a_freeze_ends():
    assert seconds_expected(1, SLOW, Course(not_before_ns=40 * NS_PER_S)) == 40
