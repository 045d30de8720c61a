"""A store held against what is wanted of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from actors.market.instrument import Instrument
from actors.market.session_days import REFERENCE, SessionDays
from actors.market.timeframe import DAILY, Timeframe
from actors.writer.presence import Presence
from actors.writer.reading import Store
from cluster.coverage import Span, Spans
from cluster.days import Days
from cluster.plan import Want, wanted_days
from cluster.universe import Unresolved
from cluster.verify.answers import Answers, Series, answers
from cluster.verify.counts import Counts
from cluster.verify.examination import Examination
from cluster.verify.judgement import Grade, Verdict
from cluster.verify.openings import ShortSession


@dataclass(frozen=True, slots=True)
class Verification:
    """What there is to say of a store at one moment."""

    store: str
    candles_version: int | None
    now: datetime
    span: tuple[date, date] | None  # the days that were wanted; None: none can be there
    calendar: SessionDays
    short_sessions: tuple[ShortSession, ...]
    undecided: tuple[date, ...]  # holidays or sessions: the calendar does not reach there
    instruments: tuple[Instrument, ...]
    verdicts: tuple[Verdict, ...]
    unresolved: tuple[Unresolved, ...] = ()  # names that no instrument answers to

    @property
    def grades(self) -> dict[str, Grade]:
        """Of each instrument, by its key: the worst of its timeframes."""
        found = {instrument.instrument_key: Grade.COMPLETE for instrument in self.instruments}
        for verdict in self.verdicts:
            key = verdict.instrument.instrument_key
            found[key] = max(found[key], verdict.grade)
        return found

    @property
    def grade(self) -> Grade:
        """Of all. There may be gaps yet among the days that are undecided."""
        return max(self.grades.values(), default=Grade.COMPLETE)


def verify(store: Store, wants: Sequence[Want], now: datetime) -> Verification:
    """Find every gap in what `wants` ask for, as far as it can be there at `now`."""
    wanted = wanted_days(wants, now)
    instruments = {want.instrument.instrument_key: want.instrument for want in wants}
    store = store.still()
    presence = store.presence()
    receipts = _of_these(store.receipts(), {*instruments, REFERENCE})
    examination = _examine(wanted, answers(receipts, now), presence, now) if wanted else None
    return Verification(
        store=store.uri,
        candles_version=presence.version,
        now=now,
        span=_outer(wanted),
        calendar=examination.calendar if examination else SessionDays(),
        short_sessions=examination.short_sessions if examination else (),
        undecided=examination.undecided() if examination else (),
        instruments=tuple(instruments.values()),
        verdicts=tuple(
            verdict
            for instrument in instruments.values()
            for verdict in (examination.verdicts(instrument) if examination else ())
        ),
    )


def _of_these(receipts: pa.Table, instrument_keys: Collection[str]) -> pa.Table:
    keys = pa.array(sorted(instrument_keys), pa.string())
    return receipts.filter(pc.is_in(receipts["instrument_key"], keys))


def _examine(
    wanted: Mapping[Series, Spans],
    said: Mapping[Series, Answers],
    presence: Presence,
    now: datetime,
) -> Examination:
    counted: dict[Timeframe, Span] = {}
    for (key, timeframe), spans in wanted.items():
        span = _whole(timeframe, spans, said.get((key, timeframe), Answers()))
        counted[timeframe] = _around(counted.get(timeframe, span), span)
    days = Days(
        min(first for first, _ in counted.values()), max(last for _, last in counted.values())
    )
    counted[DAILY] = days.first, days.last
    keys = sorted({REFERENCE, *(key for key, _ in wanted)})
    counts = Counts(keys, days)
    for timeframe, (first, last) in counted.items():
        ends = date.fromordinal(first), date.fromordinal(last)
        counts.take(timeframe, presence.counts(keys, timeframe, *ends))
    return Examination(wanted, said, counts, counted, now)


def _whole(timeframe: Timeframe, spans: Spans, said: Answers) -> Span:
    """Whole bars, and whole receipts: the days to be counted for a series."""
    first, last = spans[0][0], spans[-1][1]
    ends = (
        timeframe.bar_days(date.fromordinal(first))[0],
        timeframe.bar_days(date.fromordinal(last))[1],
    )
    span = ends[0].toordinal(), ends[1].toordinal()
    for stored in said.stored:
        if stored.extent[0] <= last and first <= stored.extent[1]:
            span = _around(span, stored.extent)
    return span


def _around(one: Span, other: Span) -> Span:
    return min(one[0], other[0]), max(one[1], other[1])


def _outer(wanted: Mapping[Series, Spans]) -> tuple[date, date] | None:
    if not wanted:
        return None
    first = min(spans[0][0] for spans in wanted.values())
    last = max(spans[-1][1] for spans in wanted.values())
    return date.fromordinal(first), date.fromordinal(last)
