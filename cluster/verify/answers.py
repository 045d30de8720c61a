"""What the receipts say of each series."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from actors.market.chunk import Status
from actors.market.timeframe import Timeframe
from actors.writer.coverage import dead_letters, rewritten
from cluster.coverage import Span, held_days
from cluster.derived import is_derivable
from cluster.verify.audit import Stored

_COLUMNS = (
    "instrument_key",
    "timeframe",
    "status",
    "first",
    "last",
    "rows",
    "final",
    "revised",
    "attempts",
    "fetched_at",
)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    span: Span
    why: str


@dataclass(slots=True)
class Answers:
    """Of one series."""

    asked: list[Span] = field(default_factory=list)  # answered, be it too early
    final: list[Span] = field(default_factory=list)  # answered once all had settled, each by itself
    stale: list[Span] = field(default_factory=list)  # the provider has rewritten its history since
    empty: list[Span] = field(default_factory=list)  # of `final`, those that brought nothing
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
        if row["status"] != Status.FAILED:
            _note(series, timeframe, row, now, since.get(key))
    for row in dead_letters(receipts).to_pylist():
        why = row["error"] or row["cause"] or "no reason is on record"
        letter = DeadLetter(_span(row["first"], row["last"]), why)
        found[row["instrument_key"], frames[row["timeframe"]]].failed.append(letter)
    return found


def _note(
    series: Answers,
    timeframe: Timeframe,
    row: Mapping[str, Any],
    now: datetime,
    rewritten_at: datetime | None,
) -> None:
    first, last, fetched_at = row["first"], row["last"], row["fetched_at"]
    is_stored = row["status"] == Status.STORED
    is_stale = is_stored and rewritten_at is not None and fetched_at < rewritten_at
    final = () if is_stale else held_days(timeframe, [(first, last, fetched_at)], now)
    series.asked.append(_span(first, last))
    series.stale += [_span(first, last)] if is_stale else []
    series.final += final
    series.empty += () if is_stored else final
    given = final if row["attempts"] or not is_derivable(timeframe) else ()
    if not (is_stored and row["rows"]):
        series.bare += given
        return
    extent = _span(timeframe.bar_days(first)[0], timeframe.bar_days(last)[1])
    revised = row["rows"] if row["revised"] is None else row["revised"]  # None: nobody looked
    series.stored.append(Stored(extent, row["rows"], fetched_at, row["final"], revised, given))


def _rows(receipts: pa.Table) -> Iterator[dict[str, Any]]:
    columns: Iterable[list[Any]] = [receipts[name].to_pylist() for name in _COLUMNS]
    return (dict(zip(_COLUMNS, values, strict=True)) for values in zip(*columns, strict=True))


def _span(first: date, last: date) -> Span:
    return first.toordinal(), last.toordinal()
