"""Whether the rows stand that receipts speak of. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from cluster.coverage import Span, Spans
from cluster.days import Days, Ints


@dataclass(frozen=True, slots=True)
class Stored:
    """A receipt that says stored: its rows are labelled with days of `extent`."""

    extent: Span
    rows: int
    fetched_at: datetime
    final: bool = True  # all of its days had settled
    revised: int = 0  # bars that stood as final and were not what it brought
    given: Spans = ()  # answered for good by the provider


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
