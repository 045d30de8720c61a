from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.limiter.simulate import Contender, Course
from actors.limiter.turns import Priority
from actors.limiter.use import BudgetUse
from actors.limiter.windows import Spending, Stage
from actors.market.window import NS_PER_S, Window
from cluster.config.settings import FleetSettings, MemorySettings
from cluster.forecast import STARTUP_S, at_start_mb, foresee, tightness

LIMITS = (Window(10, NS_PER_S), Window(100, 60 * NS_PER_S))
NOW = datetime(2024, 1, 1, tzinfo=UTC)


def found(spent: int = 0, ago_s: float = 0.0, **course: object) -> BudgetUse:
    """A budget of which so many requests were spent so long ago."""
    spending, over_ns = Spending(3_600 * NS_PER_S), -round(ago_s * NS_PER_S)
    for permit in range(1, spent + 1):
        spending.record(permit, over_ns, Stage.OVER)
    told = Course(spent_ns=(over_ns,) * spent, **course)  # type: ignore[arg-type]
    return BudgetUse(LIMITS, spending.use(0, LIMITS), told, None, 1.0)


def test_a_fresh_budget_and_a_few_requests_take_the_start_and_their_latency() -> None:
    forecast = foresee(10, found(latency_ns=NS_PER_S // 2), lanes=16)
    assert forecast.at_least_s == 0
    assert forecast.expected_s == STARTUP_S + 0.5
    assert forecast.ends(NOW) == NOW + timedelta(seconds=forecast.expected_s)


def test_what_is_spent_frees_while_the_fleet_starts() -> None:
    """All of the minute was spent 58 s ago: the start takes longer than the wait."""
    assert foresee(10, found(100, ago_s=58), lanes=16).expected_s == STARTUP_S
    assert foresee(10, found(100, ago_s=20), lanes=16).expected_s == pytest.approx(40, abs=0.1)


def test_a_plan_says_what_is_left_and_when_it_is_done() -> None:
    said = foresee(1_500, found(66), lanes=16).in_words(NOW)
    assert said.startswith("1,500 requests; 34 of 100 left in this 1m 00s; done at about ")
    assert (
        foresee(0, found(66), lanes=16).in_words(NOW) == "0 requests; 34 of 100 left in this 1m 00s"
    )


def test_other_runs_are_reckoned_with() -> None:
    alone_s = foresee(200, found(), lanes=16).expected_s
    rivals = (Contender(Priority.INTERACTIVE, 200),)
    assert foresee(200, found(rivals=rivals), lanes=16).expected_s > alone_s + 50


@given(st.integers(400, 8_000), st.integers(1, 64))
def test_a_fleet_is_called_too_large_exactly_if_it_is_before_its_first_answer(
    limit_mb: int, fetchers: int
) -> None:
    notes = tightness(limit_mb, fetchers)
    assert bool(notes) == (at_start_mb(fetchers) > limit_mb)
    assert all(f"memory.limit_mb is {limit_mb:,}, " in note for note in notes)


def test_the_default_fleet_is_too_large_for_the_least_limit_alone() -> None:
    default = FleetSettings().fetchers
    (note,) = tightness(400, default)
    assert "a fleet of 2 fetchers holds some 450 MB from its start" in note
    assert tightness(MemorySettings().limit_mb, default) == []
    assert tightness(400, 1) == [], "the least limit is for the smallest fleet"
