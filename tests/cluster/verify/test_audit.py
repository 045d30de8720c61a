"""Answers of one market, overlapping as they may, and rows deleted afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from cluster.days import Days
from cluster.verify.answers import Stored, audit

DAYS = Days(1, 12)
days = st.integers(DAYS.first, DAYS.last)
markets = st.lists(st.integers(1, 3), min_size=len(DAYS), max_size=len(DAYS))
spans = st.lists(st.tuples(days, days).map(sorted).map(tuple), min_size=1, max_size=6)
deleted = st.sets(days, max_size=3)


def receipts(market, asked):
    """One for each span, the newest last."""
    return [
        Stored(
            extent=(first, last),
            rows=sum(market[first - 1 : last]),
            fetched_at=datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=n),
            given=((first, last),),
        )
        for n, (first, last) in enumerate(asked)
    ]


def found(market, asked, gone):
    standing = [0 if day in gone else n for day, n in enumerate(market, DAYS.first)]
    return audit(receipts(market, asked), np.array(standing), DAYS, (DAYS.first, DAYS.last))


@given(markets, spans)
def test_where_all_rows_stand_every_answer_counts(market, asked):
    told = found(market, asked, set())
    assert (told.losses, sorted(told.given)) == ([], sorted(asked))


@given(markets, spans, deleted)
def test_what_is_deleted_is_told_as_lost_or_no_answer_counts_there(market, asked, gone):
    told = found(market, asked, gone)
    lost = {day for loss in told.losses for day in range(loss.extent[0], loss.extent[1] + 1)}
    for first, last in told.given:
        assert gone & set(range(first, last + 1)) <= lost


@given(markets, spans, deleted)
@example([1] * 4 + [2] + [1] * 7, [(1, 5), (2, 6), (6, 7)], {5, 7})  # how many of (2, 6) is unclear
def test_each_loss_holds_rows_that_were_deleted_and_none_is_told_twice(market, asked, gone):
    told = found(market, asked, gone)
    for loss in told.losses:
        assert any(loss.extent[0] <= day <= loss.extent[1] for day in gone)
    assert sum(loss.rows for loss in told.losses) <= sum(market[day - 1] for day in gone)


@given(markets, st.integers(2, 5), deleted)
def test_of_daily_updates_each_day_but_the_newest_ones_is_told_by_itself(market, length, gone):
    """What only the last answer holds together has no other to tell it apart by."""
    windows = [(day, day + length) for day in range(DAYS.first, DAYS.last - length + 1)]
    gone = {day for day in gone if day < windows[-1][0]}
    told = found(market, windows, gone)
    losses = {(loss.extent, loss.rows) for loss in told.losses}
    assert losses == {((day, day), market[day - 1]) for day in gone}


@given(markets, spans, st.integers(1, 5))
def test_what_a_newer_answer_may_have_revised_away_is_not_told_as_lost(market, asked, revised):
    """However the rows it revised lie: fewer are missing than it says it changed, or as many."""
    newest = Stored((DAYS.first, DAYS.last), 0, datetime(2025, 1, 1, tzinfo=UTC), revised=revised)
    older = receipts(market, asked)
    standing = np.array(market)
    standing[: min(revised, len(DAYS))] -= 1
    told = audit([*older, newest], standing, DAYS, (DAYS.first, DAYS.last))
    assert told.losses == []
    short = {(first, last) for first, last in asked if first <= min(revised, len(DAYS))}
    assert not short & set(told.given)
