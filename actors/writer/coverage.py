"""What receipts, taken together, say. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from actors.market.chunk import Receipt, Status
from actors.writer.occupied import extent, series

#: (instrument_key, timeframe label) -> spans answered for good, each with the newest answer's time.
Held = dict[tuple[str, str], list[tuple[date, date, datetime]]]

_ANSWERED = pa.array([Status.STORED, Status.EMPTY], pa.string())
_SPAN = ["instrument_key", "timeframe", "first", "last"]


def held(receipts: pa.Table) -> Held:
    """The spans that were answered, empty ones included, in order of their days."""
    answered = receipts.filter(pc.is_in(receipts["status"], _ANSWERED))
    newest = answered.group_by(_SPAN).aggregate([("fetched_at", "max")])
    columns = [newest[name].to_pylist() for name in (*_SPAN, "fetched_at_max")]
    spans: Held = defaultdict(list)
    for key, timeframe, first, last, fetched_at in zip(*columns, strict=True):
        spans[key, timeframe].append((first, last, fetched_at))
    return {series: sorted(found) for series, found in spans.items()}


def outdated(receipts: Iterable[Receipt], revision: Receipt, first: date, last: date) -> datetime:
    """When the newest answer was given that `revision` contradicts on the days `first` to `last`."""
    return max(
        (
            receipt.fetched_at
            for receipt in receipts
            if receipt.status is Status.STORED
            and series(receipt.chunk) == series(revision.chunk)
            and receipt.fetched_at < revision.fetched_at
            and extent(receipt.chunk)[0] <= last
            and first <= extent(receipt.chunk)[1]
        ),
        default=datetime.fromtimestamp(0, UTC),
    )


def latest(receipts: pa.Table) -> pa.Table:
    """The newest receipt of every chunk."""
    places = pa.array(range(receipts.num_rows), pa.int64())
    placed = receipts.append_column("place", places)
    ordered = placed.sort_by([("fetched_at", "ascending"), ("place", "ascending")])
    newest = ordered.group_by("chunk_id", use_threads=False).aggregate([("place", "last")])
    return receipts.take(newest["place_last"].sort())


def dead_letters(receipts: pa.Table) -> pa.Table:
    """The newest receipts that say failed, less those whose days were answered since."""
    newest = latest(receipts)
    failed = newest.filter(pc.equal(newest["status"], Status.FAILED))
    spans = held(receipts)
    columns = [failed[name].to_pylist() for name in (*_SPAN, "fetched_at")]
    unanswered = [
        not _covered(
            first, last, [(f, t) for f, t, at in spans.get((key, timeframe), []) if at > fetched_at]
        )
        for key, timeframe, first, last, fetched_at in zip(*columns, strict=True)
    ]
    return failed.filter(pa.array(unanswered, pa.bool_()))


def _covered(first: date, last: date, spans: list[tuple[date, date]]) -> bool:
    """Whether every day from first to last lies in one of the spans, which come in order."""
    for span_first, span_last in spans:
        if span_first <= first <= span_last:
            first = span_last + timedelta(days=1)
    return first > last
