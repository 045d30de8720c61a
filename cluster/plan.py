"""What to ask the provider for: wants less what is held, in the fewest requests. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Literal

from actors.market.chunk import Chunk
from actors.market.instrument import Instrument
from actors.market.sessions import ist_date
from actors.market.timeframe import Timeframe, Unit
from actors.upstox import limits
from cluster.coverage import (
    Answered,
    Span,
    Spans,
    held_days,
    intersected,
    old_days,
    subtracted,
    united,
)
from cluster.cuts import calendar_period, cut, longest_first, reaching_back
from cluster.unseen import Unseen, unseen
from cluster.wording import counted

#: Receipts that are stored or empty, by instrument_key and timeframe label.
Held = Mapping[tuple[str, str], Sequence[Answered]]

#: Whether bars of the running day are wanted: no, those that are over, or the forming ones too.
Today = bool | Literal["forming"]

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Want:
    """Candles the user asked for, from `first` to `last`, both included."""

    instrument: Instrument
    timeframe: Timeframe
    first: date | None = None  # None: as early as one request can reach from `last`
    last: date | None = None  # None: yesterday

    def __post_init__(self) -> None:
        if self.first is not None and self.last is not None and self.first > self.last:
            raise ValueError(f"{self.first} is after {self.last}")


class Reason(StrEnum):
    """Why part of what was asked is not."""

    BEFORE_HISTORY = "the provider has nothing earlier"
    NOT_YET_HISTORY = "today and later are not in the provider's history yet"


@dataclass(frozen=True, slots=True)
class Note:
    """Part of what was wanted cannot be asked for."""

    timeframe: Timeframe
    reason: Reason
    wanted: date  # first or last day, as the reason says
    asked: date | None  # what is asked instead; None: nothing of the want is left
    instruments: int

    def __str__(self) -> str:
        word = "from" if self.reason is Reason.BEFORE_HISTORY else "to"
        instead = "nothing is asked" if self.asked is None else f"asked {word} {self.asked}"
        many = counted(self.instruments, "instrument")
        return f"{self.timeframe} {word} {self.wanted}: {self.reason}; {instead} ({many})"


@dataclass(frozen=True, slots=True)
class TimeframePlan:
    """One timeframe's part of a plan."""

    timeframe: Timeframe
    instruments: int  # wanted
    complete: int  # of them, those that need no request
    chunks: int
    first: date | None  # days the chunks span; None: there are no chunks
    last: date | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The chunks a run needs, in the order they are best sent.

    That order: timeframes as wanted; of each the running day, then the newest calendar period first;
    instruments as wanted.
    """

    chunks: tuple[Chunk, ...]
    instruments: int
    by_timeframe: tuple[TimeframePlan, ...]
    notes: tuple[Note | Unseen, ...]

    @property
    def requests(self) -> int:
        """The least number of requests: one a chunk, if none has to be repeated."""
        return len(self.chunks)


@dataclass(frozen=True, slots=True)
class _Trim:
    """How a want was cut to what can be asked."""

    reason: Reason
    wanted: date
    asked: date | None


@dataclass(slots=True)
class _Demand:
    """Everything wanted in one timeframe."""

    timeframe: Timeframe
    reach: limits.Reach
    instruments: dict[str, Instrument] = field(default_factory=dict)
    asked: dict[str, set[Span]] = field(default_factory=lambda: defaultdict(set))
    trims: dict[_Trim, set[str]] = field(default_factory=lambda: defaultdict(set))
    running: dict[str, Instrument] = field(default_factory=dict)  # wanted of the running day

    def notes(self) -> list[Note]:
        return [
            Note(self.timeframe, trim.reason, trim.wanted, trim.asked, len(keys))
            for trim, keys in self.trims.items()
        ]


def plan(
    wants: Iterable[Want],
    held: Held,
    now: datetime,
    reach: Callable[[Timeframe], limits.Reach] = limits.reach,
    *,
    today: Today = False,
) -> Plan:
    """Cover every wanted day that is missing at `now` with the fewest requests.

    A request that can hold wanted days from before the last night as well asks for them again: it costs
    nothing, and shows whether the provider has rewritten them. With `today`, one request each is for the
    running day as well, which is never held.

    Raises ValueError for a timeframe the provider does not serve.
    """
    demands = _demands(wants, ist_date(now), reach, today)
    chunks: list[Chunk] = []
    parts: list[TimeframePlan] = []
    for demand in demands:
        mine = _chunks(demand, held, now)
        chunks += mine
        parts.append(_part(demand, mine))
    return Plan(
        chunks=tuple(chunks),
        instruments=len(set().union(*(demand.instruments for demand in demands))),
        by_timeframe=tuple(parts),
        notes=(*(n for demand in demands for n in demand.notes()), *unseen(chunks, held, now)),
    )


def wanted_days(
    wants: Iterable[Want],
    now: datetime,
    reach: Callable[[Timeframe], limits.Reach] = limits.reach,
) -> dict[tuple[str, Timeframe], Spans]:
    """The days of each instrument and timeframe that can be asked for at `now`, held or not."""
    return {
        (key, demand.timeframe): united(spans)
        for demand in _demands(wants, ist_date(now), reach, today=False)
        for key, spans in demand.asked.items()
    }


def _demands(
    wants: Iterable[Want],
    now_on: date,
    reach: Callable[[Timeframe], limits.Reach],
    today: Today,
) -> list[_Demand]:
    demands: dict[Timeframe, _Demand] = {}
    # Most wants of a run name the same days.
    askable = cache(_askable)
    for want in wants:
        demand = demands.get(want.timeframe)
        if demand is None:
            demand = demands[want.timeframe] = _Demand(want.timeframe, reach(want.timeframe))
        key = want.instrument.instrument_key
        demand.instruments.setdefault(key, want.instrument)
        span, trims = askable(want.timeframe, want.first, want.last, demand.reach, now_on - _DAY)
        if _is_served(want.timeframe, today) and _includes(want, now_on):
            demand.running[key] = want.instrument
            trims = tuple(_asked_today(trim, now_on) for trim in trims if trim.wanted != now_on)
        if span is not None:
            demand.asked[key].add(span)
        for trim in trims:
            demand.trims[trim].add(key)
    return list(demands.values())


def _is_served(timeframe: Timeframe, today: Today) -> bool:
    """Whether any bar of the running day is to be had. A day's own bar forms until the day is over."""
    return bool(today) and (
        timeframe.is_intraday or (timeframe.unit is Unit.DAY and today == "forming")
    )


def _includes(want: Want, day: date) -> bool:
    return (want.first is None or want.first <= day) and (want.last is None or day <= want.last)


def _asked_today(trim: _Trim, day: date) -> _Trim:
    return replace(trim, asked=day) if trim.reason is Reason.NOT_YET_HISTORY else trim


def _askable(
    timeframe: Timeframe,
    first: date | None,
    last: date | None,
    reach: limits.Reach,
    yesterday: date,
) -> tuple[Span | None, tuple[_Trim, ...]]:
    """Whole bars from `first` to `last` as far as the provider has them."""
    until = yesterday if last is None else min(last, yesterday)
    since = _earliest(until, reach) if first is None else max(first, reach.earliest)
    if until < reach.earliest:
        return None, (_Trim(Reason.BEFORE_HISTORY, first or until, None),)
    if since > until:
        return None, (_Trim(Reason.NOT_YET_HISTORY, last or since, None),)
    trims: list[_Trim] = []
    if last is not None and last > until:
        trims.append(_Trim(Reason.NOT_YET_HISTORY, last, until))
    if first is not None and first < since:
        trims.append(_Trim(Reason.BEFORE_HISTORY, first, since))
    # The provider is not known to keep a bar whole when only some of its days are asked.
    since, _ = timeframe.bar_days(since)
    until = min(timeframe.bar_days(until)[1], yesterday)
    return (since.toordinal(), until.toordinal()), tuple(trims)


def _earliest(last: date, reach: limits.Reach) -> date:
    """The first day of the longest request that ends on `last`."""
    if reach.max_months is None:
        return reach.earliest
    return max(reach.earliest, date.fromordinal(longest_first(last.toordinal(), reach.max_months)))


def _chunks(demand: _Demand, held: Held, now: datetime) -> list[Chunk]:
    label, months = demand.timeframe.label, demand.reach.max_months
    cuts = cache(cut)
    now_on = ist_date(now)
    running = [
        Chunk(key, instrument.symbol, demand.timeframe, now_on, now_on)
        for key, instrument in demand.running.items()
    ]
    by_period: dict[int, list[Chunk]] = defaultdict(list)
    for key, instrument in demand.instruments.items():
        asked = united(demand.asked.get(key, ()))
        holdings = held.get((key, label), ())
        missing = subtracted(asked, held_days(demand.timeframe, holdings, now))
        spans = cuts(missing, months)
        if spans and (old := old_days(holdings, now)):
            spans = tuple(reaching_back(spans, intersected(asked, old), months))
        for first, last in reversed(spans):
            period = 0 if months is None else calendar_period(last, months)
            by_period[period].append(
                Chunk(key, instrument.symbol, demand.timeframe, _date(first), _date(last))
            )
    periods = sorted(by_period, reverse=True)
    return running + [chunk for period in periods for chunk in by_period[period]]


def _part(demand: _Demand, chunks: list[Chunk]) -> TimeframePlan:
    return TimeframePlan(
        timeframe=demand.timeframe,
        instruments=len(demand.instruments),
        complete=len(demand.instruments.keys() - {chunk.instrument_key for chunk in chunks}),
        chunks=len(chunks),
        first=min((chunk.first for chunk in chunks), default=None),
        last=max((chunk.last for chunk in chunks), default=None),
    )


_date = cache(date.fromordinal)
