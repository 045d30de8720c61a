from __future__ import annotations

import heapq
from collections.abc import Callable


class Alarms:
    """What is to be done later, in the order of its time."""

    def __init__(self) -> None:
        self._alarms: list[tuple[float, int, Callable[[], None]]] = []
        self._set = 0

    def set(self, at_s: float, action: Callable[[], None]) -> None:
        self._set += 1
        heapq.heappush(self._alarms, (at_s, self._set, action))

    def ring(self, now_s: float) -> None:
        """Do what is due."""
        while self._alarms and self._alarms[0][0] <= now_s:
            heapq.heappop(self._alarms)[2]()
