from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from cluster.plan import Want, plan

if TYPE_CHECKING:
    from actors.market.chunk import Chunk
    from cluster.coverage import Answered


class Revisions:
    """What a run fetches again once the provider is seen to have rewritten an instrument's history."""

    def __init__(self, wants: Iterable[Want], chunks: Iterable[Chunk], now: datetime) -> None:
        """`chunks` are the plan's: those are asked for as it is. `now` is when it was made."""
        self._now = now
        self._wants: dict[str, list[Want]] = defaultdict(list)
        for want in wants:
            self._wants[want.instrument.instrument_key].append(want)
        self._planned: dict[tuple[str, str], list[Answered]] = defaultdict(list)
        for chunk in chunks:
            series = chunk.instrument_key, chunk.timeframe.label
            self._planned[series].append((chunk.first, chunk.last, now))

    def again(self, instrument_key: str) -> tuple[Chunk, ...]:
        """Everything wanted of the instrument that the plan left out as held; once."""
        wants = self._wants.pop(instrument_key, ())
        return plan(wants, self._planned, self._now).chunks
