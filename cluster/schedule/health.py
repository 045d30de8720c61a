"""Whether a store is as new as its schedule promises, and its token good until the next run.

By receipts alone: nothing is asked of anybody.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from actors.market.chunk import Status
from actors.market.errors import UsageError
from actors.market.session_days import SessionDays, follows_reference, is_weekend
from actors.market.sessions import IST, ist_date, settled_at
from actors.market.timeframe import Timeframe
from actors.upstox.token import TokenSource
from actors.writer.coverage import held, latest
from actors.writer.reading import Store
from cluster.config import RunConfig
from cluster.config.schedule import JobSettings
from cluster.coverage import held_days
from cluster.schedule.notice import Event
from cluster.wording import counted

#: Whom no run has asked for in so long, while others were, has left the universe.
LEFT_AFTER = timedelta(days=30)
#: A run takes its time, also where a job is never tried again.
LEAST_WINDOW = timedelta(hours=1)

_DAY = timedelta(days=1)
#: A month's bar settles so late, and no exchange is closed for longer.
_LOOK_BACK = timedelta(days=90)
_LEAP_YEARS = 3_000 * _DAY  # from one 29 February to the next, over 1900 or 2100
_NAMED = 3  # reasons in words


@dataclass(frozen=True, slots=True)
class Freshness:
    """One timeframe, held against the newest session that should be in it."""

    timeframe: str
    due: date | None  # that session; None: nothing is due yet
    instruments: int  # that are kept up: who has left the universe is not counted
    lacking: int
    reasons: tuple[str, ...] = ()

    @property
    def is_stale(self) -> bool:
        return self.due is not None and (self.lacking > 0 or self.instruments == 0)

    def __str__(self) -> str:
        if self.due is None:
            return f"{self.timeframe}: nothing is due yet"
        day = f"{self.due:%a %d %b %Y}"
        if not self.instruments:
            return f"{self.timeframe}: never fetched, and {day} should be there"
        many = counted(self.instruments, "instrument")
        if not self.lacking:
            return f"{self.timeframe}: {many} up to {day}"
        return f"{self.timeframe}: {self.lacking:,} of {many} without {day} ({', '.join(self.reasons)})"


@dataclass(frozen=True, slots=True)
class Health:
    store: str
    freshness: tuple[Freshness, ...]
    token_ends: datetime | None  # None: there is none, or it does not say
    token_warning: str | None

    @property
    def is_stale(self) -> bool:
        return any(each.is_stale for each in self.freshness)

    def events(self) -> Iterator[Event]:
        """What somebody should be told: once for each session that is lacking, and for each token."""
        stale = [each for each in self.freshness if each.is_stale]
        if stale:
            days = ",".join(f"{each.timeframe}={each.due}" for each in stale)
            yield Event("stale", self.store, "; ".join(map(str, stale)), about=days)
        if self.token_warning is not None:
            yield Event("token", self.store, self.token_warning, about=str(self.token_ends))

    def describe(self) -> dict[str, Any]:
        """For machines: JSON types only."""
        return {
            "stale": self.is_stale,
            "timeframes": [
                {
                    "timeframe": each.timeframe,
                    "due": each.due and each.due.isoformat(),
                    "instruments": each.instruments,
                    "lacking": each.lacking,
                    "said": str(each),
                }
                for each in self.freshness
            ],
            "token_ends": self.token_ends and self.token_ends.astimezone(IST).isoformat(),
            "token_warning": self.token_warning,
        }


def look(
    config: RunConfig, calendar: SessionDays, now: datetime, since: datetime | None = None
) -> Health:
    """How a config's store and token are. `since`: from when on its jobs count; None: ever."""
    store = Store(config.store)
    jobs = config.schedule.jobs
    by = promised(jobs, now, since)
    found = freshness(store.receipts(), wanted_until(config), calendar, by, now)
    try:
        ends = TokenSource.find(config.provider.token_file).ends_at()
    except UsageError as error:  # it cannot be read
        return Health(store.uri, found, None, str(error))
    return Health(store.uri, found, ends, token_warning(ends, jobs, now))


def promised(
    jobs: Iterable[JobSettings], now: datetime, since: datetime | None = None
) -> datetime | None:
    """The newest moment for which some job was due, and has had its time to be done.

    What had settled by then should be in the store. None if there was none after `since`.
    """
    moments = []
    for job in jobs:
        window = max(timedelta(seconds=job.retry_for_s), LEAST_WINDOW)
        until = now - window
        if passed := job.when.passed(since or until - _LEAP_YEARS, until):
            moments.append(passed[0])
    return max(moments, default=None)


def wanted_until(config: RunConfig) -> dict[Timeframe, date | None]:
    """The last day that each timeframe is wanted for; None: it goes on and on."""
    lasts: dict[Timeframe, list[date | None]] = defaultdict(list)
    for ask in config.asks:
        for timeframe in ask.timeframes:
            lasts[timeframe].append(ask.last)
    return {
        timeframe: None if None in days else max(day for day in days if day is not None)
        for timeframe, days in lasts.items()
    }


def freshness(
    receipts: pa.Table,
    until: dict[Timeframe, date | None],
    calendar: SessionDays,
    by: datetime | None,
    now: datetime,
) -> tuple[Freshness, ...]:
    """Whether RECEIPTS cover the newest session that had settled `by`, each timeframe of `until`.

    Weekdays that the calendar does not know count as sessions. Where a segment does not keep the
    reference's days, nothing is known.
    """
    return tuple(
        _freshness(receipts, timeframe, last, calendar, by, now)
        for timeframe, last in until.items()
    )


def newest_due(
    timeframe: Timeframe, last: date | None, calendar: SessionDays, by: datetime
) -> date | None:
    """The newest session, up to `last`, whose bar had settled `by`; None if none is in reach."""
    day = ist_date(by) if last is None else min(last, ist_date(by))
    earliest = day - _LOOK_BACK
    while day >= earliest:
        opened = calendar.had_session(day)
        if (opened or (opened is None and not is_weekend(day))) and settled_at(
            timeframe, day
        ) <= by:
            return day
        day -= _DAY
    return None


def token_warning(ends: datetime | None, jobs: Iterable[JobSettings], now: datetime) -> str | None:
    """What to say of a token that the next run will find ended; None if there is nothing to say."""
    job = min(jobs, key=lambda job: job.when.after(now))
    next_run = job.when.after(now)
    if ends is None or ends > next_run:
        return None
    has = "has ended" if ends <= now else "ends"
    return f"the token {has} {_said(ends)}, before the next run ({job.name}, {_said(next_run)})"


def _freshness(
    receipts: pa.Table,
    timeframe: Timeframe,
    last: date | None,
    calendar: SessionDays,
    by: datetime | None,
    now: datetime,
) -> Freshness:
    if by is None:
        return Freshness(timeframe.label, None, 0, 0)
    mine = receipts.filter(pc.equal(receipts["timeframe"], timeframe.label))
    kept = _kept(mine)
    own = {
        follows: newest_due(timeframe, last, calendar if follows else SessionDays(), by)
        for follows in {True, *map(follows_reference, kept)}
    }
    lacking = {
        key
        for follows, due in own.items()
        if due is not None
        for key in _lacking({k for k in kept if follows_reference(k) == follows}, mine, due, now)
    }
    due = own[True] if not kept or any(map(follows_reference, kept)) else own[False]
    return Freshness(timeframe.label, due, len(kept), len(lacking), _reasons(lacking, mine, due))


def _kept(receipts: pa.Table) -> set[str]:
    """Instruments that the newest runs have asked for, of one timeframe's receipts."""
    asked = receipts.group_by("instrument_key").aggregate([("last", "max")])
    newest = dict(zip(*(asked[name].to_pylist() for name in asked.column_names), strict=True))
    least = max(newest.values(), default=date.max) - LEFT_AFTER
    return {key for key, last in newest.items() if last >= least}


def _lacking(keys: set[str], receipts: pa.Table, due: date, now: datetime) -> set[str]:
    """Those of `keys` whose bar of the day `due` no answer covers."""
    day = pa.scalar(due, pa.date32())
    around = receipts.filter(
        pc.and_(pc.less_equal(receipts["first"], day), pc.greater_equal(receipts["last"], day))
    )
    # Rewritten since or not: it is as new as it should be.
    covered = {
        key
        for (key, label), answers in held(around, stale_too=True).items()
        for first, last in held_days(Timeframe.parse(label), answers, now)
        if first <= due.toordinal() <= last
    }
    return keys - covered


def _reasons(keys: set[str], receipts: pa.Table, due: date | None) -> tuple[str, ...]:
    """In words, of most first: how far each of `keys` goes, or why its last request failed."""
    among = pc.is_in(receipts["instrument_key"], pa.array(sorted(keys), pa.string()))
    newest: dict[str, dict[str, Any]] = {}
    for row in latest(receipts.filter(among)).sort_by("last").to_pylist():
        newest[row["instrument_key"]] = row  # of the newest days
    reasons = Counter(_reason(row, due or date.max) for row in newest.values())
    told = [f"{number:,} {reason}" for reason, number in reasons.most_common(_NAMED)]
    left = sum(reasons.values()) - sum(number for _, number in reasons.most_common(_NAMED))
    return (*told, f"{left:,} otherwise") if left else tuple(told)


def _reason(row: dict[str, Any], due: date) -> str:
    if row["status"] == Status.FAILED:
        return f"failed: {row['cause']}"
    if row["last"] >= due:
        return "asked before it had settled"
    return f"asked up to {row['last']:%a %d %b %Y}"


def _said(moment: datetime) -> str:
    return f"{moment.astimezone(IST):%a %d %b %H:%M} IST"
