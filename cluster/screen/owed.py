from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from actors.market.chunk import Chunk


class Owed:
    """Of which instruments something is still to come. Those of which nothing is are whole.

    Days are counted, not chunks: one that is too long for the provider is answered in two halves.
    """

    def __init__(
        self, labels: Collection[str], chunks: Iterable[Chunk], late: Collection[str] = ()
    ) -> None:
        """Other timeframes than `labels` do not matter. `late` are keys that never become whole here."""
        self._labels = frozenset(labels)
        self._late = frozenset(late)
        self._days: Counter[str] = Counter()
        self.add(chunks)

    def __contains__(self, instrument_key: str) -> bool:
        return instrument_key in self._late or self._days[instrument_key] > 0

    def add(self, chunks: Iterable[Chunk]) -> set[str]:
        """These are to be fetched, too. Answers with the instruments that are owed something by it."""
        mine = [chunk for chunk in chunks if chunk.timeframe.label in self._labels]
        for chunk in mine:
            self._days[chunk.instrument_key] += _days(chunk)
        return {chunk.instrument_key for chunk in mine}

    def settle(self, chunks: Iterable[Chunk]) -> None:
        """The store holds the receipts of these chunks, whatever they say. Each is told once."""
        for chunk in chunks:
            if chunk.timeframe.label in self._labels:
                self._days[chunk.instrument_key] -= _days(chunk)


def _days(chunk: Chunk) -> int:
    return (chunk.last - chunk.first).days + 1
