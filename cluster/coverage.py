"""Which days are held, from the receipts of earlier runs. Days are ordinals: `date.toordinal()`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from actors.market.sessions import SETTLES_AT, ist_date, settled_at
from actors.market.timeframe import Timeframe

Span = tuple[int, int]  # first and last day, both included
Spans = tuple[Span, ...]  # ascending, with at least a day between one and the next

#: A receipt that is stored or empty: first day, last day, when it was fetched.
Answered = tuple[date, date, datetime]

_DAY = timedelta(days=1)


def united(spans: Iterable[Span]) -> Spans:
    """Every day of any of `spans`; those that end before they begin hold none."""
    merged: list[Span] = []
    for first, last in sorted(spans):
        if last < first:
            continue
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def subtracted(spans: Spans, taken: Spans) -> Spans:
    """The days of `spans` that are not in `taken`."""
    left: list[Span] = []
    place = 0
    for first, last in spans:
        start = first
        while place < len(taken) and taken[place][1] < start:
            place += 1
        ahead = place
        while ahead < len(taken) and taken[ahead][0] <= last:
            if start < taken[ahead][0]:
                left.append((start, taken[ahead][0] - 1))
            start = taken[ahead][1] + 1
            ahead += 1
        if start <= last:
            left.append((start, last))
    return tuple(left)


def held_days(timeframe: Timeframe, answers: Iterable[Answered], now: datetime) -> Spans:
    """Days that need not be asked again at `now`.

    A bar fetched before it settled is held until it has settled, or until more of its days have
    passed than were asked: a week fetched on Wednesday is missing, whole, on Thursday.
    """
    yesterday = ist_date(now) - _DAY
    return united(_held(timeframe, answer, now, yesterday) for answer in answers)


def old_days(answers: Iterable[Answered], now: datetime) -> Spans:
    """Days whose answers are from before the last night: history may have been rewritten since.

    The provider does that for splits and bonuses, between an evening and the next morning (observed once,
    2026-09).
    """
    morning = datetime.combine(ist_date(now), SETTLES_AT)
    morning = morning if morning <= now else morning - _DAY
    return united(
        (first.toordinal(), last.toordinal())
        for first, last, fetched_at in answers
        if fetched_at < morning
    )


def intersected(spans: Spans, others: Spans) -> Spans:
    """The days in both."""
    return subtracted(spans, subtracted(spans, others))


def _held(timeframe: Timeframe, answer: Answered, now: datetime, yesterday: date) -> Span:
    first, last, fetched_at = answer
    bar_first, bar_last = timeframe.bar_days(first)
    # A bar of which only the end was asked says nothing of the whole.
    start = bar_first if bar_first == first else bar_last + _DAY
    # History holds no running day: the answer said nothing of the day it was given on.
    end = min(last, ist_date(fetched_at) - _DAY)
    bar_first, bar_last = timeframe.bar_days(end)
    settled = settled_at(timeframe, end)
    asked_whole = end >= min(bar_last, yesterday)
    if not (asked_whole and (settled <= fetched_at or now < settled)):
        # The bar before had settled by then: its last day is at least two days before the fetch.
        end = bar_first - _DAY
    return start.toordinal(), end.toordinal()
