"""Cuts missing days into the fewest spans the provider accepts. Days are ordinals."""

from __future__ import annotations

from bisect import bisect_right
from calendar import monthrange
from collections.abc import Iterator, Sequence
from datetime import date
from functools import lru_cache

from cluster.coverage import Span, Spans

_MONTHS_A_YEAR = 12


def add_months(day: date, months: int) -> date:
    """The same day so many months on, or the last of that month where it is shorter."""
    year, month = divmod(day.year * _MONTHS_A_YEAR + day.month - 1 + months, _MONTHS_A_YEAR)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


@lru_cache(maxsize=65_536)
def longest_last(first: int, months: int) -> int:
    """Last day of the longest span from `first` that no calendar arithmetic calls too long.

    It ends before `first` plus the months. Then it also begins after its end less the months, and
    is never longer than a calendar month or quarter can be. Parts of such a span are such spans.
    """
    return add_months(date.fromordinal(first), months).toordinal() - 1


def longest_first(last: int, months: int) -> int:
    """First day of the longest such span that ends on `last`."""
    first = add_months(date.fromordinal(last), -months).toordinal() + 1
    while longest_last(first, months) < last:
        first += 1
    return first


@lru_cache(maxsize=65_536)
def calendar_period(day: int, months: int) -> int:
    """Number of the calendar month, quarter or decade that `day` falls into, by `months`."""
    on = date.fromordinal(day)
    return (on.year * _MONTHS_A_YEAR + on.month - 1) // months


def cut(missing: Spans, months: int | None) -> tuple[Span, ...]:
    """The fewest spans that hold every missing day; of those, the fewest across calendar periods.

    A span begins and ends on a missing day, and may run over held ones between. Each span's worth
    depends on itself alone and ties fall to the first span (within its period, then longest), so
    what is left after any of the spans is done is cut into the very same rest.
    """
    if not missing:
        return ()
    if months is None:
        return ((missing[0][0], missing[-1][1]),)
    return tuple(_follow(missing, months))


def reaching_back(cuts: Sequence[Span], old: Spans, months: int | None) -> Iterator[Span]:
    """The same spans, each begun on the earliest day of `old` that its request can hold as well.

    What comes for those days can be compared with what stands. No span runs into the one before.
    """
    free = 0
    for first, last in cuts:
        since = max(free, 0 if months is None else longest_first(last, months))
        begins = (max(since, start) for start, end in old if start <= first and since <= end)
        yield min(first, next(begins, first)), last
        free = last + 1


def _follow(missing: Spans, months: int) -> Iterator[Span]:
    choices = _best_lasts(missing, months)
    first: int | None = missing[0][0]
    while first is not None:
        yield first, choices[first]
        first = _next_missing(missing, choices[first])


def _best_lasts(missing: Spans, months: int) -> dict[int, int]:
    """For each day a span may have to begin on, the last day it had best have."""
    options: dict[int, list[int]] = {}
    waiting = [missing[0][0]]
    while waiting:
        first = waiting.pop()
        if first not in options:
            options[first] = _lasts(missing, first, months)
            nexts = (_next_missing(missing, last) for last in options[first])
            waiting += [day for day in nexts if day is not None]
    costs: dict[int | None, tuple[int, int]] = {None: (0, 0)}  # spans, of them across periods
    best: dict[int, int] = {}
    for first in sorted(options, reverse=True):
        priced = []
        for place, last in enumerate(options[first]):
            spans, crossing = costs[_next_missing(missing, last)]
            # The longest comes second, and is there only if it crosses.
            priced.append(((spans + 1, crossing + _crosses(first, last, months)), place, last))
        costs[first], _, best[first] = min(priced)
    return best


def _lasts(missing: Spans, first: int, months: int) -> list[int]:
    """Where a span from `first` may end: as late as its calendar period allows, as late as can be.

    Ending any earlier leaves more to the rest, and the rest never costs less for that.
    """
    longest = _last_missing(missing, longest_last(first, months))
    if not _crosses(first, longest, months):
        return [longest]
    next_period = (calendar_period(first, months) + 1) * months
    period_end = (
        date(next_period // _MONTHS_A_YEAR, next_period % _MONTHS_A_YEAR + 1, 1).toordinal() - 1
    )
    return [_last_missing(missing, period_end), longest]


def _crosses(first: int, last: int, months: int) -> bool:
    return calendar_period(first, months) != calendar_period(last, months)


def _last_missing(missing: Spans, day: int) -> int:
    """The last missing day up to `day`."""
    return min(day, missing[bisect_right(missing, day, key=lambda span: span[0]) - 1][1])


def _next_missing(missing: Spans, day: int) -> int | None:
    """The first missing day after `day`."""
    place = bisect_right(missing, day, key=lambda span: span[1])
    return max(day + 1, missing[place][0]) if place < len(missing) else None
