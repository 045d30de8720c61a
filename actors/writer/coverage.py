"""What receipts, taken together, say. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from actors.market.chunk import Receipt, Status
from actors.market.sessions import SETTLES_AT, ist_date
from actors.writer.difference import Difference
from actors.writer.occupied import extent, series
from actors.writer.receipts import SPAN

#: (instrument_key, timeframe label) -> spans answered for good, each with the newest answer's time.
Held = dict[tuple[str, str], list[tuple[date, date, datetime]]]

_ANSWERED = pa.array([Status.STORED, Status.EMPTY], pa.string())


def held(receipts: pa.Table, *, stale_too: bool = False) -> Held:
    """The spans that were answered, empty ones included, in order of their days.

    Candles that the provider has rewritten since are not held, unless `stale_too`.
    """
    answered = receipts.filter(pc.is_in(receipts["status"], _ANSWERED))
    newest = answered.group_by([*SPAN, "status"]).aggregate([("fetched_at", "max")])
    columns = [newest[name].to_pylist() for name in (*SPAN, "status", "fetched_at_max")]
    since = {} if stale_too else rewritten(receipts)
    spans: dict[tuple[str, str], dict[tuple[date, date], datetime]] = defaultdict(dict)
    for key, timeframe, first, last, status, fetched_at in zip(*columns, strict=True):
        if status == Status.STORED and key in since and fetched_at < since[key]:
            continue
        found = spans[key, timeframe]
        found[first, last] = max(fetched_at, found.get((first, last), fetched_at))
    return {
        series: [(*span, at) for span, at in sorted(found.items())]
        for series, found in spans.items()
    }


def rewritten(receipts: pa.Table) -> dict[str, datetime]:
    """When the provider was last seen to have rewritten an instrument's history, all timeframes of it.

    Of what was fetched before, nothing can be relied on. A receipt that says so contradicts answers
    given up to `outdates`, so it happened after that, at the latest at its own time. Several that leave
    room for a common moment speak of one rewriting, which counts from the first such latest time.
    """
    told = receipts.filter(pc.is_valid(receipts["outdates"]))
    columns = [told[name].to_pylist() for name in ("instrument_key", "outdates", "fetched_at")]
    moments = [
        (_at_the_latest(outdates, fetched_at), outdates, key)
        for key, outdates, fetched_at in zip(*columns, strict=True)
    ]
    seen: dict[str, datetime] = {}
    for latest_at, outdates, key in sorted(moments):
        if key not in seen or outdates >= seen[key]:
            seen[key] = latest_at
    return seen


def _at_the_latest(outdates: datetime, fetched_at: datetime) -> datetime:
    """When what an answer of `fetched_at` shows had happened at the latest.

    The provider rewrites overnight (observed once, 2026-09). So what was fetched since that morning is
    good, unless the answer contradicts just that.
    """
    morning = datetime.combine(ist_date(fetched_at), SETTLES_AT)
    return morning if outdates < morning <= fetched_at else fetched_at


def noted(receipt: Receipt, found: Difference, earlier: Iterable[Receipt]) -> Receipt:
    """The receipt, with what its answer says of `earlier` ones of its instrument.

    A rewriting that reaches back to the oldest day it could be compared with puts all of them in doubt
    that were given before it. A correction puts none; it is counted.
    """
    if found.revised_days is None or not receipt.attempts:
        return receipt  # what was computed here tells nothing of the provider
    outdates = _outdated(receipt, *found.revised_days, earlier) if found.reaches_back else None
    revised = receipt.revised + found.revised
    return replace(receipt, revised=revised, ratio=found.ratio, outdates=outdates)


def _outdated(revision: Receipt, first: date, last: date, earlier: Iterable[Receipt]) -> datetime:
    """When the newest answer was given that `revision` contradicts on the days `first` to `last`."""
    return max(
        (
            receipt.fetched_at
            for receipt in earlier
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
    spans = held(receipts, stale_too=True)
    columns = [failed[name].to_pylist() for name in (*SPAN, "fetched_at")]
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
