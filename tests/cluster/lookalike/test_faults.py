from __future__ import annotations

import json
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.lookalike.answers import Answer
from cluster.lookalike.damage import damaged
from cluster.lookalike.faults import MIXED, Fault, FaultPlan

ROWS = [
    [f"2024-01-{day:02d}T00:00:00+05:30", 10.5, 11 + day, 9.75, 10, 100 * day, 0]
    for day in range(31, 0, -1)
]
BODY = json.dumps({"status": "success", "data": {"candles": ROWS}}).encode()


def candles(answer):
    return json.loads(answer.body)["data"]["candles"]


@given(seed=st.integers(0, 99), path=st.text(max_size=20), nth=st.integers(1, 50))
def test_the_same_arrival_meets_the_same_fault(seed, path, nth):
    """Whatever else arrived before it."""
    rates = {"mixed": 0.5, "cloudflare": 0.3}
    assert FaultPlan(rates, seed).deal(path, nth) is FaultPlan(rates, seed).deal(path, nth)


def test_faults_come_as_often_as_they_should_and_each_arrival_is_drawn_anew():
    """So a retry may succeed."""
    plan = FaultPlan({"reset": 0.2, "mixed": 0.1}, seed=4)
    dealt = Counter(plan.deal("/one/path", nth) for nth in range(1, 10_001))
    assert dealt[None] == pytest.approx(7_000, rel=0.05)
    assert dealt[Fault.RESET] == pytest.approx(2_100, rel=0.1)
    assert set(dealt) == {None, *MIXED}


def test_faults_keep_to_their_paths_and_their_number():
    """`matching` sees the path decoded; `per_path` lets a path be served in the end."""
    plan = FaultPlan({"html": 1.0}, per_path=2, matching="Nifty 50")
    path = "/v3/historical-candle/NSE_INDEX%7CNifty%2050/days/1/2024-01-31/2024-01-01"
    assert [plan.deal(path, nth) for nth in (1, 2, 3)] == [Fault.HTML, Fault.HTML, None]
    assert plan.deal(path.replace("Nifty%2050", "Nifty%20Bank"), 1) is None


@pytest.mark.parametrize("rates", [{"flood": 0.1}, {"reset": 1.5}, {"reset": 0.6, "html": 0.6}])
def test_impossible_rates_are_refused(rates):
    """An unknown kind, and probabilities beyond 1."""
    with pytest.raises(ValueError, match=r"fault|probabilit"):
        FaultPlan(rates)


@pytest.mark.parametrize("seed", range(20))
def test_a_shuffled_answer_holds_every_row_and_some_twice(seed):
    """And nothing else."""
    answer = damaged(Fault.SHUFFLED, Answer(200, BODY, candles=True), random.Random(seed), 0.1)
    found = candles(answer)
    assert len(found) > len(ROWS)
    assert {tuple(row) for row in found} == {tuple(row) for row in ROWS}
    assert found != sorted(found, reverse=True)


@pytest.mark.parametrize("seed", range(20))
def test_an_insane_answer_still_holds_every_good_row(seed):
    """The broken ones stand between them; in a spoiled answer they stand in their place."""
    good = Answer(200, BODY, candles=True)
    insane = candles(damaged(Fault.INSANE, good, random.Random(seed), 0.1))
    spoiled = candles(damaged(Fault.SPOILED, good, random.Random(seed), 0.1))
    assert [row for row in insane if row in ROWS] == ROWS
    assert len(insane) == len(ROWS) + 3
    assert len(spoiled) == len(ROWS)
    assert len([row for row in spoiled if row in ROWS]) == len(ROWS) - 3


def test_an_answer_without_numbers_still_holds_every_good_row():
    """Between them NaN, both infinities, and an integer no float can hold."""
    odd = damaged(Fault.NO_NUMBERS, Answer(200, BODY, candles=True), random.Random(0), 0.1)
    rows = candles(odd)
    assert [row for row in rows if row in ROWS] == ROWS
    assert len(rows) == len(ROWS) + 4
    assert b"NaN" in odd.body
    assert b"-Infinity" in odd.body


def test_what_is_no_utf8_is_so_by_one_byte():
    broken = damaged(Fault.NO_UTF8, Answer(200, BODY, candles=True), random.Random(0), 0.1)
    with pytest.raises(UnicodeDecodeError):
        broken.body.decode()


def test_what_holds_no_candles_is_not_damaged():
    """A refusal is passed on."""
    refusal = Answer(400, b"{}")
    assert damaged(Fault.SHUFFLED, refusal, random.Random(1), 0.1) is refusal
