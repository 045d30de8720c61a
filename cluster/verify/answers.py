"""What the receipts say of each series, and whether the rows stand that they speak of. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from actors.market.chunk import Status
from actors.market.timeframe import Timeframe
from actors.writer.coverage import dead_letters, rewritten
from cluster.coverage import Span, Spans, held_days
from cluster.days import Days, Ints
from cluster.derived import is_derivable

_COLUMNS = (
    "instrument_key",
    "timeframe",
    "status",
    "first",
    "last",
    "rows",
    "quarantined",
    "final",
    "revised",
    "attempts",
    "fetched_at",
)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    span: Span
    why: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A receipt of rows, brought or taken away: they are labelled with days of `extent`.

    It may have failed for what else it lacks.
    """

    extent: Span
    rows: int
    fetched_at: datetime
    final: bool = True  # all of its days had settled
    revised: int = 0  # bars that stood as final and were not what it brought
    given: Spans = ()  # answered for good by the provider


@dataclass(slots=True)
class Answers:
    """Of one series."""

    asked: list[Span] = field(default_factory=list)  # answered, be it too early
    final: list[Span] = field(default_factory=list)  # answered once all had settled, each by itself
    stale: list[Span] = field(default_factory=list)  # the provider has rewritten its history since
    garbled: list[Span] = field(default_factory=list)  # of `final`, those with rows put aside
    bare: list[Span] = field(default_factory=list)  # by the provider, without a row
    stored: list[Stored] = field(default_factory=list)
    failed: list[DeadLetter] = field(default_factory=list)


Series = tuple[str, Timeframe]


def answers(receipts: pa.Table, now: datetime) -> dict[Series, Answers]:
    """Everything that RECEIPTS say, by series, as it counts at `now`."""
    found: dict[Series, Answers] = {}
    frames = {
        label: Timeframe.parse(label) for label in pc.unique(receipts["timeframe"]).to_pylist()
    }
    since = rewritten(receipts)
    for row in _rows(receipts):
        key, timeframe = row["instrument_key"], frames[row["timeframe"]]
        series = found.setdefault((key, timeframe), Answers())
        given = _given(series, timeframe, row, now, since.get(key))
        has_rows = row["rows"] > 0
        series.bare += () if has_rows else given
        if has_rows or row["revised"]:
            series.stored.append(_stored(timeframe, row, given if has_rows else ()))
    for row in dead_letters(receipts).to_pylist():
        why = row["error"] or row["cause"] or "no reason is on record"
        letter = DeadLetter(_span(row["first"], row["last"]), why)
        found[row["instrument_key"], frames[row["timeframe"]]].failed.append(letter)
    return found


@dataclass(frozen=True, slots=True)
class Loss:
    """Rows that are not there, of days within `extent`: at least `rows`, and no more than `most`."""

    extent: Span
    rows: int
    most: int


@dataclass(slots=True)
class Audit:
    """Of one series."""

    losses: list[Loss] = field(default_factory=list)  # of the newest receipts first
    given: list[Span] = field(default_factory=list)  # of the receipts of which nothing is in doubt


def audit(receipts: Iterable[Stored], standing: Ints, days: Days, counted: Span) -> Audit:
    """Hold the receipts of one series against the rows that stand, newest first.

    `standing` is the number of rows on each of `days`, known from the first to the last day of
    `counted`; of a receipt that reaches beyond nothing can be told. An answer leaves an older one its
    rows, but for those that it revises. So what an older receipt lacks, beside what newer ones lack as
    well, is lost from the days that no newer one has accounted for. Where newer ones added bars, as many
    lost ones of the older go unnoticed.
    """
    before = np.concatenate(([0], np.cumsum(standing, dtype=np.int64)))
    accounted = np.zeros(len(days), np.bool_)
    begun, ended = np.zeros((2, len(days) + 1), np.int64)  # what newer ones revised, by their ends
    found = Audit()
    for receipt in sorted(receipts, key=lambda receipt: receipt.fetched_at, reverse=True):
        first, last = receipt.extent
        start, stop = (min(max(0, n - days.first), len(days)) for n in (first, last + 1))
        unclear = 0
        if counted[0] <= first and last <= counted[1]:
            missing = receipt.rows - int(before[stop] - before[start])
            revised = int(begun[:stop].sum() - ended[: start + 1].sum())
            free = first + np.flatnonzero(~accounted[start:stop])
            unclear = _unclear(receipt, missing, revised, free, found.losses)
            accounted[start:stop] |= unclear == 0
        if unclear <= 0:
            found.given += receipt.given
        begun[start] += receipt.revised
        ended[stop] += receipt.revised
    return found


def _unclear(
    receipt: Stored, missing: int, revised: int, unaccounted: Ints, losses: list[Loss]
) -> int:
    """How many rows of the receipt are missing without its being clear where; below 0: so many came.

    A loss that was not known is put to `losses`.
    """
    first, last = receipt.extent
    known = [loss for loss in losses if loss.extent[0] <= last and first <= loss.extent[1]]
    within = [loss for loss in known if first <= loss.extent[0] and loss.extent[1] <= last]
    missing -= sum(loss.rows for loss in within)
    # Some of what is missing may have been revised away, or be among losses that reach beyond.
    lost = missing - revised - sum(loss.most for loss in known)
    lost += sum(loss.rows for loss in within)  # which were taken off above
    was_open = not receipt.final and len(unaccounted) <= last - first
    if lost <= 0 or not len(unaccounted) or was_open:
        return missing
    losses.append(Loss((int(unaccounted[0]), int(unaccounted[-1])), lost, missing))
    return 0


def _given(
    series: Answers,
    timeframe: Timeframe,
    row: Mapping[str, Any],
    now: datetime,
    rewritten_at: datetime | None,
) -> Spans:
    """Note which days the receipt answers. Those for which the provider vouches, bar or no bar."""
    if row["status"] == Status.FAILED:
        return ()
    first, last, fetched_at = row["first"], row["last"], row["fetched_at"]
    is_stored = row["status"] == Status.STORED
    is_stale = is_stored and rewritten_at is not None and fetched_at < rewritten_at
    final = () if is_stale else held_days(timeframe, [(first, last, fetched_at)], now)
    series.asked.append(_span(first, last))
    series.stale += [_span(first, last)] if is_stale else []
    series.final += final
    if row["quarantined"]:  # a bar that is not there may be among what was put aside
        series.garbled += final
        return ()
    return final if row["attempts"] or not is_derivable(timeframe) else ()


def _stored(timeframe: Timeframe, row: Mapping[str, Any], given: Spans) -> Stored:
    extent = _span(timeframe.bar_days(row["first"])[0], timeframe.bar_days(row["last"])[1])
    revised = row["rows"] if row["revised"] is None else row["revised"]  # None: nobody looked
    return Stored(extent, row["rows"], row["fetched_at"], row["final"], revised, given)


def _rows(receipts: pa.Table) -> Iterator[dict[str, Any]]:
    columns: Iterable[list[Any]] = [receipts[name].to_pylist() for name in _COLUMNS]
    return (dict(zip(_COLUMNS, values, strict=True)) for values in zip(*columns, strict=True))


def _span(first: date, last: date) -> Span:
    return first.toordinal(), last.toordinal()
