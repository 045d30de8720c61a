"""The calendar as far as a store has learned it."""

from __future__ import annotations

from datetime import date, datetime

import pyarrow.compute as pc

from actors.market.session_days import REFERENCE, SessionDays
from actors.market.timeframe import DAILY
from actors.writer.coverage import held
from actors.writer.reading import Store
from cluster.coverage import held_days


def sessions(store: Store, first: date, now: datetime) -> SessionDays:
    """From `first` on. A day the reference's daily bars were asked for, but that has none, was closed."""
    store = store.still()
    answers = held(store.receipts()).get((REFERENCE, DAILY.label), [])
    charted = held_days(DAILY, answers, now)
    found: set[date] = set()
    if charted:
        until = date.fromordinal(charted[-1][1])
        for counts in store.presence().counts([REFERENCE], DAILY, first, max(first, until)):
            mine = counts.filter(pc.equal(counts["instrument_key"], REFERENCE))
            found.update(mine["date"].to_pylist())
    known = ((date.fromordinal(begin), date.fromordinal(end)) for begin, end in charted)
    return SessionDays(
        frozenset(day for day in found if day >= first),
        tuple((max(begin, first), end) for begin, end in known if end >= first),
    )
