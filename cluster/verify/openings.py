"""On which days the exchange was open, and for how long, as far as the store's own bars tell. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import numpy as np

from actors.market.session_days import REFERENCE, SessionDays, follows_reference, is_weekend
from actors.market.timeframe import DAILY, Timeframe
from cluster.coverage import Spans, subtracted, united
from cluster.days import Mask
from cluster.verify.counts import Counts


@dataclass(frozen=True, slots=True)
class Openings:
    """What is known of each day of the instruments that trade at the same hours."""

    session: Mask
    doubtful: Mask  # weekdays of which nobody knows whether the exchange was open


@dataclass(frozen=True, slots=True)
class ShortSession:
    """A day on which the exchange was open for fewer bars of `timeframe` than usual."""

    day: date
    timeframe: Timeframe
    bars: int
    usual: int


def hours_of(instrument_key: str) -> str:
    """Names the instruments that trade at the same hours."""
    if follows_reference(instrument_key):
        return REFERENCE
    return instrument_key.partition("|")[0]


def openings(
    group: str, instrument_keys: Iterable[str], counts: Counts, charted: Spans
) -> Openings:
    """Of the instruments whose hours are `group`'s: `instrument_keys` are those that were counted.

    A day is a session if more than half of them have a bar, or if the reference has one. Where its
    daily bars were answered for good, `charted`, a day without either was none.
    """
    days = counts.days
    session = counts.attended(instrument_keys)
    known = np.zeros(len(days), np.bool_)
    if group == REFERENCE:
        session = session | (counts.bars(REFERENCE, DAILY) > 0)
        known = days.held(charted)
    weekdays = np.array([not is_weekend(day) for day in days], np.bool_)
    return Openings(session, weekdays & ~known & ~session)


def calendar(of: Openings, counts: Counts, charted: Spans) -> SessionDays:
    """The reference's openings in dates."""
    days = counts.days
    beyond = united([(date.min.toordinal(), days.first - 1), (days.last + 1, date.max.toordinal())])
    known = subtracted(charted, beyond)
    return SessionDays(
        frozenset(days.day(int(place)) for place in np.flatnonzero(of.session)),
        tuple((date.fromordinal(first), date.fromordinal(last)) for first, last in known),
    )


def short_sessions(counts: Counts, timeframes: Iterable[Timeframe]) -> tuple[ShortSession, ...]:
    """By the reference's own bars, the finest at hand: an index has one for every open minute."""
    intraday = [timeframe for timeframe in timeframes if timeframe.is_intraday]
    for timeframe in sorted(intraday, key=lambda timeframe: timeframe.minutes):
        bars = counts.bars(REFERENCE, timeframe)
        if bars.any():
            usual = int(np.bincount(bars[bars > 0]).argmax())
            places = np.flatnonzero((bars > 0) & (bars < usual)).tolist()
            return tuple(
                ShortSession(counts.days.day(place), timeframe, int(bars[place]), usual)
                for place in places
            )
    return ()
