"""Counts what arrives, by its own plain reading of the published limits."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

_NS_PER_S = 1_000_000_000
_LONGEST_LOG = 500_000


@dataclass(slots=True)
class _Sliding:
    """Follows how many of a growing, ascending list of times lie in the last `span_ns`."""

    limit: int
    span_ns: int
    oldest: int = 0  # place of the first time still inside
    worst: int = 0
    refused: int = 0

    def use(self, times: array[int], now_ns: int) -> int:
        """How many of `times` lie in (now - span, now]."""
        while self.oldest < len(times) and times[self.oldest] <= now_ns - self.span_ns:
            self.oldest += 1
        return len(times) - self.oldest


@dataclass(slots=True)
class _Path:
    arrivals: int = 0
    answered: bool = False


@dataclass(frozen=True, slots=True)
class Arrival:
    number: int  # from 1, of all
    nth: int  # from 1, of this path
    admitted: bool


@dataclass(slots=True)
class Judge:
    """A request is refused if it would be one too many in the span that ends with its arrival."""

    windows: tuple[tuple[int, float], ...]  # (limit, seconds)
    enforces: bool = True
    counts_refused: bool = False
    keeps_log: bool = False
    assets: int = 0
    unknown_paths: int = 0
    body_bytes: int = 0
    _seen: list[_Sliding] = field(init=False)
    _policed: list[_Sliding] = field(init=False)
    _arrivals: array[int] = field(default_factory=lambda: array("q"), init=False)
    _counted: array[int] = field(default_factory=lambda: array("q"), init=False)
    _paths: dict[str, _Path] = field(default_factory=dict, init=False)
    _statuses: Counter[str] = field(default_factory=Counter, init=False)
    _faults: Counter[str] = field(default_factory=Counter, init=False)
    _repeats_of_answered: int = field(default=0, init=False)
    _refused: int = field(default=0, init=False)
    _log: list[tuple[int, str, bool]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        spans = [(limit, int(seconds * _NS_PER_S)) for limit, seconds in self.windows]
        self._seen = [_Sliding(limit, span_ns) for limit, span_ns in spans]
        self._policed = [_Sliding(limit, span_ns) for limit, span_ns in spans]

    def arrive(self, now_ns: int, path: str) -> Arrival:
        """Book a request for candles. `now_ns` never goes back."""
        self._arrivals.append(now_ns)
        for window in self._seen:
            window.worst = max(window.worst, window.use(self._arrivals, now_ns))
        admitted = self._admit(now_ns)
        known = self._paths.setdefault(path, _Path())
        known.arrivals += 1
        self._repeats_of_answered += known.answered
        if self.keeps_log and len(self._log) < _LONGEST_LOG:
            self._log.append((now_ns, path, admitted))
        return Arrival(len(self._arrivals), known.arrivals, admitted)

    def _admit(self, now_ns: int) -> bool:
        full = [w for w in self._policed if w.use(self._counted, now_ns) >= w.limit]
        admitted = not (full and self.enforces)
        if admitted or self.counts_refused:
            self._counted.append(now_ns)
        if not admitted:
            self._refused += 1
            for window in full:
                window.refused += 1
        return admitted

    def deal(self, fault: str) -> None:
        self._faults[fault] += 1

    def answer(self, path: str, status: int | None, body_bytes: int, *, candles: bool) -> None:
        """Book what a request got. `status` None: a broken connection; `candles`: a good answer."""
        self._statuses["none" if status is None else str(status)] += 1
        self.body_bytes += body_bytes
        known = self._paths.get(path)
        if known is not None:  # None after a reset in mid-request
            known.answered |= candles

    def report(self, *, with_log: bool = False) -> dict[str, Any]:
        windows = [
            {
                "limit": seen.limit,
                "seconds": seen.span_ns / _NS_PER_S,
                "worst": seen.worst,
                "refused": policed.refused,
            }
            for seen, policed in zip(self._seen, self._policed, strict=True)
        ]
        report: dict[str, Any] = {
            "requests": len(self._arrivals),
            "by_status": dict(self._statuses),
            "refused": self._refused,
            "windows": windows,
            "distinct": len(self._paths),
            "repeats": len(self._arrivals) - len(self._paths),
            "repeats_of_answered": self._repeats_of_answered,
            "faults": dict(self._faults),
            "unknown_paths": self.unknown_paths,
            "assets": self.assets,
            "body_bytes": self.body_bytes,
        }
        if with_log:
            report["log"] = self._log
        return report
