from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

    from actors.market.chunk import Chunk


def series(chunk: Chunk) -> tuple[str, str]:
    """What a chunk is a piece of: one instrument in one timeframe."""
    return chunk.instrument_key, chunk.timeframe.label


def extent(chunk: Chunk) -> tuple[date, date]:
    """The days on which a bar of the chunk may be labelled.

    Wider than its span for weeks and months: a week asked for from Wednesday on is labelled Monday.
    """
    return chunk.timeframe.bar_days(chunk.first)[0], chunk.timeframe.bar_days(chunk.last)[1]


class Occupied:
    """Where rows may stand: for each series, disjoint spans of days, both ends included."""

    def __init__(self) -> None:
        self._firsts: dict[tuple[str, str], list[date]] = {}
        self._lasts: dict[tuple[str, str], list[date]] = {}

    def add(self, chunk: Chunk) -> None:
        first, last = extent(chunk)
        firsts = self._firsts.setdefault(series(chunk), [])
        lasts = self._lasts.setdefault(series(chunk), [])
        touched = slice(bisect_left(lasts, first), bisect_right(firsts, last))
        if touched.start < touched.stop:
            first = min(first, firsts[touched.start])
            last = max(last, lasts[touched.stop - 1])
        firsts[touched] = [first]
        lasts[touched] = [last]

    def overlaps(self, chunk: Chunk) -> bool:
        first, last = extent(chunk)
        lasts = self._lasts.get(series(chunk), [])
        place = bisect_left(lasts, first)  # the earliest span that does not end before us
        return place < len(lasts) and self._firsts[series(chunk)][place] <= last
