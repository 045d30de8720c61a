"""Longer intraday bars out of 1-minute bars: what to ask for instead, and what to compute. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from actors.market.chunk import Chunk, Status
from actors.market.epoch import moment_of, stamp_us
from actors.market.session_days import REFERENCE, REFERENCE_INDEX, follows_reference
from actors.market.sessions import depends_on_opening, ist_date
from actors.market.timeframe import Timeframe, Unit
from actors.writer.receipts import SPAN
from cluster.coverage import Answered, Spans, united
from cluster.days import Days, Ints, Mask
from cluster.plan import Held, Want, wanted_days

Series = tuple[str, Timeframe]

MINUTE = Timeframe(Unit.MINUTE, 1)


@dataclass(frozen=True, slots=True)
class Due:
    """Bars to be computed: the chunk they fill, and when the minutes they are made of were fetched."""

    chunk: Chunk
    fetched_at: datetime


def is_derived(want: Want) -> bool:
    """Whether minutes can take its place: it must be known when its sessions opened."""
    return is_derivable(want.timeframe) and follows_reference(want.instrument.instrument_key)


def is_derivable(timeframe: Timeframe) -> bool:
    return timeframe.is_intraday and timeframe.minutes > 1


def to_ask(wants: Iterable[Want], now: datetime) -> list[Want]:
    """The same with minutes in the place of what can be made of them.

    With them come the minutes of the reference, where its sessions' openings are needed: they are its
    first bars.
    """
    asked: dict[Want, None] = {}
    openings: list[Want] = []
    for want in wants:
        if is_derived(want):
            minutes = minutes_for(want, now)
            asked[minutes] = None
            openings += [minutes] if depends_on_opening(want.timeframe.minutes) else []
        else:
            asked[want] = None
    asked |= dict.fromkeys(replace(want, instrument=REFERENCE_INDEX) for want in openings)
    return list(asked)


def minutes_for(want: Want, now: datetime) -> Want:
    """As far back as the timeframe itself would have been asked for."""
    first = want.first
    if first is None:
        for days in wanted_days([want], now).values():
            first = date.fromordinal(days[0][0])
    return replace(want, timeframe=MINUTE, first=first)


def due(
    wants: Iterable[Want], receipts: pa.Table, known: Held, now: datetime, *, today: bool = False
) -> list[Due]:
    """What of `wants`, all of them derived, is to be computed from the minutes that are `known`.

    That is every day whose minutes were answered later than its longer bars were: those are not there,
    or made of what the minutes were before. With `today`, the running day is one.
    """
    tried = _tried(receipts)
    instruments = {want.instrument.instrument_key: want.instrument for want in wants}
    found = []
    for (key, timeframe), spans in _wanted(wants, now, today=today).items():
        days = Days(spans[0][0], spans[-1][1])
        minutes = _newest(known.get((key, MINUTE.label), ()), days)
        made = _newest((*known.get((key, timeframe.label), ()), *tried[key, timeframe.label]), days)
        wanted = days.held(spans) & (minutes > made)
        if depends_on_opening(timeframe.minutes):
            wanted &= _newest(known.get((REFERENCE, MINUTE.label), ()), days) > 0
        symbol = instruments[key].symbol
        found += [
            Due(Chunk(key, symbol, timeframe, first, last), fetched_at)
            for first, last, fetched_at in _runs(wanted, minutes, days)
        ]
    return found


def _wanted(wants: Iterable[Want], now: datetime, *, today: bool) -> dict[Series, Spans]:
    wants = list(wants)
    found = wanted_days(wants, now)
    now_on = ist_date(now)
    for want in wants if today else ():
        if (want.first or now_on) <= now_on <= (want.last or now_on):
            series = want.instrument.instrument_key, want.timeframe
            running = (now_on.toordinal(), now_on.toordinal())
            found[series] = united((*found.get(series, ()), running))
    return found


def _tried(receipts: pa.Table) -> dict[tuple[str, str], list[Answered]]:
    """What was computed and refused: the store holds rows that the minutes do not speak of."""
    computed = pc.equal(receipts["attempts"], 0)
    refused = receipts.filter(pc.and_(computed, pc.equal(receipts["status"], Status.FAILED)))
    found: dict[tuple[str, str], list[Answered]] = defaultdict(list)
    for row in refused.select([*SPAN, "fetched_at"]).to_pylist():
        found[row["instrument_key"], row["timeframe"]].append(
            (row["first"], row["last"], row["fetched_at"])
        )
    return found


def _newest(answers: Iterable[Answered], days: Days) -> Ints:
    """When the newest answer for each day was given, microseconds since 1970; 0: there is none."""
    found = np.zeros(len(days), np.int64)
    for first, last, fetched_at in sorted(answers, key=lambda answer: answer[2]):
        inside = slice(
            max(0, first.toordinal() - days.first), max(0, last.toordinal() - days.first + 1)
        )
        found[inside] = stamp_us(fetched_at)
    return found


def _runs(wanted: Mask, answered: Ints, days: Days) -> Iterator[tuple[date, date, datetime]]:
    """Wanted days in a row whose minutes came with one answer, and when it came."""
    told = np.where(wanted, answered, 0)
    begins = np.flatnonzero(np.diff(told, prepend=-1))
    for begin, end in pairwise((*begins.tolist(), len(told))):
        if told[begin]:
            fetched_at = moment_of(told[begin])
            yield days.day(begin), days.day(end - 1), fetched_at
