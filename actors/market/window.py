from __future__ import annotations

from dataclasses import dataclass

NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """A rate limit: at most `limit` requests in any half-open span `[t, t + span_ns)`."""

    limit: int
    span_ns: int

    @property
    def span_s(self) -> float:
        return self.span_ns / NS_PER_S

    def __str__(self) -> str:
        return f"{self.limit}/{self.span_s:g} s"
