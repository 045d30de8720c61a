from __future__ import annotations

import heapq
from collections.abc import Collection

from cluster.orders import Errand


class Waiting:
    """Errands that are not to be sent before their time, the first of them first."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Errand]] = []  # by (ready_s, order of arrival)
        self._arrivals = 0

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_s(self) -> float | None:
        """When one will be ready."""
        return self._heap[0][0] if self._heap else None

    def put(self, errand: Errand, ready_s: float) -> None:
        self._arrivals += 1
        heapq.heappush(self._heap, (ready_s, self._arrivals, errand))

    def take(self, now_s: float) -> list[Errand]:
        """Those that are ready."""
        ready = []
        while self._heap and self._heap[0][0] <= now_s:
            ready.append(heapq.heappop(self._heap)[2])
        return ready

    def withdraw(self, chunk_ids: Collection[str]) -> None:
        self._heap = [entry for entry in self._heap if entry[2].chunk.id not in chunk_ids]
        heapq.heapify(self._heap)
