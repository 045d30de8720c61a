"""Where a plan would not show that the provider has rewritten its history. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from actors.market.chunk import Chunk
from actors.market.sessions import ist_date
from actors.market.timeframe import Timeframe
from cluster.coverage import Answered, Spans, old_days
from cluster.wording import counted


@dataclass(frozen=True, slots=True)
class Unseen:
    """Requests that reach no day held from before the last night, as those of a whole month each."""

    timeframe: Timeframe
    instruments: int  # of which no other request reaches one

    def __str__(self) -> str:
        many = counted(self.instruments, "instrument")
        return (
            f"{self.timeframe}: no request reaches days that are held, so a rewritten history, as after "
            f"a split, would not be noticed; an update of 1day would show it ({many})"
        )


def unseen(
    chunks: Iterable[Chunk], held: Mapping[tuple[str, str], Sequence[Answered]], now: datetime
) -> tuple[Unseen, ...]:
    """Of a plan's chunks. One that reaches held days speaks for all timeframes of its instrument."""

    @cache
    def old(instrument_key: str, label: str) -> Spans:
        return old_days(held.get((instrument_key, label), ()), now)

    blind: dict[tuple[Timeframe, str], None] = {}
    seeing: set[str] = set()
    for chunk in chunks:
        key, first, last = chunk.instrument_key, chunk.first.toordinal(), chunk.last.toordinal()
        spans = old(key, chunk.timeframe.label)
        if any(since <= last and first <= until for since, until in spans):
            seeing.add(key)
        elif spans and chunk.last < ist_date(now):  # nothing can be learned from the running day
            blind[chunk.timeframe, key] = None
    counts = Counter(timeframe for timeframe, key in blind if key not in seeing)
    return tuple(Unseen(timeframe, count) for timeframe, count in counts.items())
