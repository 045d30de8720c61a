from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from actors.market.chunk import Cause

#: Rates are means over the last so many seconds.
RATE_OVER_S = 10.0


@dataclass(frozen=True, slots=True)
class Tally:
    """What one attempt came to, as its fetcher tells the monitor."""

    fetcher: str
    rows: int = 0
    body_bytes: int = 0
    trouble: Cause | None = None  # of this attempt, retried or not


@dataclass(frozen=True, slots=True)
class Progress:
    """Sums since the run began, and the present pace."""

    requests: int = 0
    rows: int = 0
    body_bytes: int = 0
    requests_per_s: float = 0.0
    rows_per_s: float = 0.0
    troubles: dict[Cause, int] = field(default_factory=dict)
    requests_by_fetcher: dict[str, int] = field(default_factory=dict)


class Counters:
    """Adds up tallies. Times are seconds on any clock that does not go back."""

    def __init__(self, began_s: float) -> None:
        self._began_s = began_s
        self._requests: Counter[str] = Counter()
        self._troubles: Counter[Cause] = Counter()
        self._rows = 0
        self._body_bytes = 0
        self._recent: deque[tuple[float, int]] = deque()  # (when, rows) of each attempt

    def add(self, tally: Tally, now_s: float) -> None:
        self._requests[tally.fetcher] += 1
        self._rows += tally.rows
        self._body_bytes += tally.body_bytes
        if tally.trouble is not None:
            self._troubles[tally.trouble] += 1
        self._recent.append((now_s, tally.rows))
        self._forget(now_s)

    def progress(self, now_s: float) -> Progress:
        self._forget(now_s)
        over_s = max(1.0, min(RATE_OVER_S, now_s - self._began_s))
        return Progress(
            requests=self._requests.total(),
            rows=self._rows,
            body_bytes=self._body_bytes,
            requests_per_s=len(self._recent) / over_s,
            rows_per_s=sum(rows for _, rows in self._recent) / over_s,
            troubles=dict(self._troubles),
            requests_by_fetcher=dict(self._requests),
        )

    def _forget(self, now_s: float) -> None:
        while self._recent and self._recent[0][0] <= now_s - RATE_OVER_S:
            self._recent.popleft()
