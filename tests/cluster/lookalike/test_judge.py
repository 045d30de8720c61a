from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.lookalike.judge import Judge

S = 1_000_000_000

WINDOWS = st.lists(
    st.tuples(st.integers(1, 6), st.integers(1, 40).map(lambda n: n / 10)), min_size=1, max_size=3
)
GAPS = st.lists(st.sampled_from([0, 1, S // 10, S // 10 - 1, S // 2, S, 4 * S]), max_size=40)


def times(gaps):
    now, found = 0, []
    for gap in gaps:
        now += gap
        found.append(now)
    return found


def run(judge, arrivals):
    return [judge.arrive(now, f"/{n}").admitted for n, now in enumerate(arrivals)]


@given(WINDOWS, GAPS)
def test_worst_use_is_the_most_arrivals_in_any_window(windows, gaps):
    """Counted naively over every window that starts with an arrival, refused ones included."""
    arrivals = times(gaps)
    judge = Judge(tuple(windows))
    run(judge, arrivals)
    for (_, seconds), told in zip(windows, judge.report()["windows"], strict=True):
        span = int(seconds * S)
        counts = [sum(start <= t < start + span for t in arrivals) for start in arrivals]
        assert told["worst"] == max(counts, default=0)


@pytest.mark.parametrize("counts_refused", [False, True])
@given(windows=WINDOWS, gaps=GAPS)
def test_a_request_is_refused_exactly_when_it_is_one_too_many(counts_refused, windows, gaps):
    """One too many in the span that ends with it, for any of the windows."""
    arrivals = times(gaps)
    counted, expected = [], []
    for now in arrivals:
        admitted = all(
            sum(now - int(seconds * S) < t <= now for t in counted) < limit
            for limit, seconds in windows
        )
        expected.append(admitted)
        if admitted or counts_refused:
            counted.append(now)
    judge = Judge(tuple(windows), counts_refused=counts_refused)
    assert run(judge, arrivals) == expected
    assert judge.report()["refused"] == expected.count(False)


def test_windows_that_are_not_enforced_are_still_measured():
    """So that a benchmark without limits says how hard it drove."""
    judge = Judge(((1, 60.0),), enforces=False)
    assert run(judge, [0, 1, 2]) == [True, True, True]
    assert judge.report()["windows"][0]["worst"] == 3


def test_repeats_are_told_apart_by_whether_the_answer_had_been_given():
    """Asking again after a fault is a retry; after candles it is waste."""
    judge = Judge(())
    judge.arrive(0, "/a")
    judge.answer("/a", 500, 10, candles=False)
    judge.arrive(1, "/a")
    judge.answer("/a", 200, 99, candles=True)
    judge.arrive(2, "/a")
    judge.arrive(3, "/b")
    report = judge.report()
    assert (report["requests"], report["distinct"]) == (4, 2)
    assert (report["repeats"], report["repeats_of_answered"]) == (2, 1)
    assert report["by_status"] == {"500": 1, "200": 1}
