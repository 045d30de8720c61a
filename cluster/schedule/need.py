"""Whether an update has anything to ask for: the exchange may have been closed since the last one. Pure.

On which days it was open is known from its index's daily bars alone, and of the days since the last update
it is not. So the index is asked first; a weekend or a holiday costs one request, and not one a series.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache

from actors.market.session_days import SessionDays, follows_reference
from actors.market.sessions import settled_at
from actors.market.timeframe import Timeframe, Unit
from cluster.coverage import Span, Spans, held_days, intersected, subtracted, united
from cluster.plan import Held

DAILY = Timeframe(Unit.DAY, 1)

Series = tuple[str, Timeframe]

_DAY = timedelta(days=1)
_NAMED_DAYS = 6  # in words; of more, the first and the last


@dataclass(frozen=True, slots=True)
class Need:
    """What is to be done about the days that no answer covers."""

    series: frozenset[Series]  # to be asked for: some such day was a session, or may have been
    unknown: tuple[date, date] | None  # the days, at both ends, that decide about some of them
    since: date | None  # the last session before the days that no answer covers, if any is known
    closed: tuple[date, ...]  # those of them that are known to have been closed

    @property
    def reason(self) -> str:
        """Why there is nothing to ask for, if `series` are none."""
        if not self.closed:
            return "all that has settled is there"
        since = "" if self.since is None else f" since {self.since:%a %d %b}"
        named = (
            self.closed[:: len(self.closed) - 1] if len(self.closed) > _NAMED_DAYS else self.closed
        )
        joint = " to " if len(self.closed) > _NAMED_DAYS else ", "
        return f"no session{since}: {joint.join(f'{day:%a %d %b}' for day in named)} closed"


def need(wanted: Mapping[Series, Spans], held: Held, calendar: SessionDays, now: datetime) -> Need:
    """Decide for each series, by the days that have settled; it is `unknown` days that a calendar lacks.

    A series that was never answered needs no calendar, nor does one whose segment does not keep the
    reference's days. A request for one unknown day would not be cheaper than to ask for a single series:
    then nothing is unknown.
    """
    settled = _settled(now)
    kind = cache(lambda spans: _kind(spans, calendar))
    certain, doubtful, days = set[Series](), dict[Series, Spans](), set[Span]()
    for (key, timeframe), spans in wanted.items():
        answers = held.get((key, timeframe.label), ())
        # A week or a month has nothing new to it on a day without a session, so it goes by days as well.
        answered = held_days(DAILY, answers, now)
        missing = subtracted(intersected(spans, settled), answered)
        if not missing:
            continue
        if not answers or not follows_reference(key) or kind(missing) is True:
            certain.add((key, timeframe))
        elif kind(missing) is None:
            doubtful[key, timeframe] = missing
        days.update(missing)
    return Need(
        series=frozenset(certain | doubtful.keys()),
        unknown=_unknown(doubtful, calendar) if len(doubtful) > 1 else None,
        since=_last_session(days, calendar),
        closed=tuple(day for day in _each(united(days)) if calendar.had_session(day) is False),
    )


def _settled(now: datetime) -> Spans:
    """Every day whose bar is served for certain."""
    day = now.date() + _DAY
    while settled_at(DAILY, day) > now:
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


def _last_session(days: set[Span], calendar: SessionDays) -> date | None:
    if not days:
        return None
    before = date.fromordinal(min(first for first, _ in days)) - _DAY
    return max((day for day in calendar.sessions if day <= before), default=None)


def _each(spans: Spans) -> Iterator[date]:
    for first, last in spans:
        yield from map(date.fromordinal, range(first, last + 1))
