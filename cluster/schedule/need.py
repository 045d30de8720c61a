"""Whether an update has anything to ask for: the exchange may have been closed since the last one. Pure.

On which days it was open is known from its index's daily bars alone, and of the days since the last update
it is not. So the index is asked first; a weekend or a holiday costs one request, and not one a series.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache, lru_cache, partial

from actors.market.session_days import SessionDays, follows_reference
from actors.market.sessions import settled_at
from actors.market.timeframe import DAILY, Timeframe, Unit
from cluster.coverage import Spans, held_days, intersected, subtracted, united
from cluster.plan import Held

Series = tuple[str, Timeframe]

_DAY = timedelta(days=1)
_NAMED_DAYS = 6  # in words; of more, the first and the last
_DAY_FORM = "%a %d %b"


@dataclass(frozen=True, slots=True)
class Need:
    """What is to be done about the days that no answer covers."""

    series: frozenset[Series]  # to be asked for: some such day was a session, or may have been
    unknown: tuple[date, date] | None  # of the days that decide, the first and the last one
    since: date | None  # the last session before the days that no answer covers, if any is known
    closed: tuple[date, ...]  # those of them that are known to have been closed

    @property
    def reason(self) -> str:
        """Why there is nothing to ask for, where `series` are none."""
        if not self.closed:
            return "all that has settled is there"
        since = "" if self.since is None else f" since {self.since:{_DAY_FORM}}"
        is_long = len(self.closed) > _NAMED_DAYS
        named = (self.closed[0], self.closed[-1]) if is_long else self.closed
        days = (" to " if is_long else ", ").join(f"{day:{_DAY_FORM}}" for day in named)
        return f"no session{since}: {days} closed"


def unanswered(wanted: Mapping[Series, Spans], held: Held, now: datetime) -> dict[Series, Spans]:
    """The days of each series that are served for certain, and that no answer covers since they are.

    By days, be the bars longer, for a day without a session has nothing new for its week or month; and by
    bars once they have settled.
    """
    lacking = {}
    for (key, timeframe), spans in wanted.items():
        answers, kinds = held.get((key, timeframe.label), ()), {DAILY, _longer(timeframe)}
        found = united(
            span
            for kind in kinds
            for span in subtracted(
                intersected(spans, _settled(kind, now)), held_days(kind, answers, now)
            )
        )
        if found:
            lacking[key, timeframe] = found
    return lacking


def need(lacking: Mapping[Series, Spans], held: Held, calendar: SessionDays) -> Need:
    """Decide for each series that lacks days; `calendar` may not know all of them.

    A series that was never answered is asked for whatever the days were, and so is one whose segment does
    not keep the reference's. For the sake of a single other one nothing is `unknown`: to ask for it costs
    no more than to learn.
    """
    kind = cache(partial(_kind, calendar=calendar))
    certain, doubtful = set[Series](), dict[Series, Spans]()
    for (key, timeframe), spans in lacking.items():
        is_new = not held.get((key, timeframe.label))
        if is_new or not follows_reference(key) or kind(spans):
            certain.add((key, timeframe))
        elif kind(spans) is None:
            doubtful[key, timeframe] = spans
    days = united(span for spans in set(lacking.values()) for span in spans)
    return Need(
        series=frozenset(certain | doubtful.keys()),
        unknown=_unknown(doubtful, calendar) if len(doubtful) > 1 else None,
        since=_last_session(days, calendar),
        closed=tuple(day for day in _each(days) if calendar.had_session(day) is False),
    )


def _longer(timeframe: Timeframe) -> Timeframe:
    return timeframe if timeframe.unit in (Unit.WEEK, Unit.MONTH) else DAILY


@lru_cache(16)
def _settled(timeframe: Timeframe, now: datetime) -> Spans:
    """Every day whose bar is served for certain."""
    day = now.date() + _DAY
    while settled_at(timeframe, day) > now:
        day -= _DAY
    return ((date.min.toordinal(), day.toordinal()),)


def _kind(spans: Spans, calendar: SessionDays) -> bool | None:
    """Whether any of the days was a session; None: it may have been."""
    told = {calendar.had_session(day) for day in _each(spans)}
    return True if True in told else (None if None in told else False)


def _unknown(doubtful: Mapping[Series, Spans], calendar: SessionDays) -> tuple[date, date]:
    spans = united(span for each in doubtful.values() for span in each)
    days = [day for day in _each(spans) if calendar.had_session(day) is None]
    return days[0], days[-1]


def _last_session(days: Spans, calendar: SessionDays) -> date | None:
    first = date.fromordinal(days[0][0]) if days else date.min
    return max((day for day in calendar.sessions if day < first), default=None)


def _each(spans: Spans) -> Iterator[date]:
    for first, last in spans:
        yield from map(date.fromordinal, range(first, last + 1))
