"""Whether the rows stand that receipts speak of. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from cluster.coverage import Span
from cluster.days import Days, Ints


@dataclass(frozen=True, slots=True)
class Stored:
    """A receipt that says stored: its rows are labelled with days of `extent`."""

    extent: Span
    rows: int
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class Loss:
    """Rows of one receipt that are not there."""

    extent: Span
    rows: int


def losses(receipts: Iterable[Stored], standing: Ints, days: Days, counted: Span) -> list[Loss]:
    """The receipts of one series whose rows are not all there, newest first.

    `standing` is the number of rows on each of `days`, known from the first to the last day of
    `counted`; of a receipt that reaches beyond nothing can be told. Nor of one that a newer one
    overlaps: that has taken its place there.
    """
    before = np.concatenate(([0], np.cumsum(standing, dtype=np.int64)))
    answered = np.zeros(len(days), np.bool_)
    found: list[Loss] = []
    for receipt in sorted(receipts, key=lambda receipt: receipt.fetched_at, reverse=True):
        first, last = receipt.extent
        inside = slice(max(0, first - days.first), max(0, last - days.first + 1))
        if counted[0] <= first and last <= counted[1] and not answered[inside].any():
            missing = receipt.rows - int(before[inside.stop] - before[inside.start])
            if missing > 0:
                found.append(Loss(receipt.extent, missing))
        answered[inside] = True
    return found
