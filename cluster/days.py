"""Stretches of days, and of bars, as places of arrays. Days are ordinals: `date.toordinal()`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from actors.market.timeframe import Timeframe
from cluster.coverage import Span

Scalar = TypeVar("Scalar", bound=np.generic)
Mask: TypeAlias = npt.NDArray[np.bool_]
Ints: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Days:
    """Every day from `first` to `last`, both included: a place each."""

    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __iter__(self) -> Iterator[date]:
        return map(date.fromordinal, range(self.first, self.last + 1))

    def day(self, place: int) -> date:
        return date.fromordinal(self.first + place)

    def counted(self, spans: Iterable[Span]) -> Ints:
        """How many of the spans hold each day."""
        steps = np.zeros(len(self) + 1, np.int64)
        for first, last in spans:
            begin, end = max(first, self.first), min(last, self.last)
            if begin <= end:
                steps[begin - self.first] += 1
                steps[end - self.first + 1] -= 1
        return np.cumsum(steps[:-1])

    def held(self, spans: Iterable[Span]) -> Mask:
        """Which days lie in any of the spans."""
        return self.counted(spans) > 0


class BarDays:
    """The bars of a timeframe over whole `days`: a place for each bar that a day can belong to.

    Below a day, all bars of a day share its place.
    """

    def __init__(self, days: Days, timeframe: Timeframe) -> None:
        ends = [timeframe.bar_days(day) for day in days]
        self.labels = np.array([first.toordinal() for first, _ in ends], np.int64)
        self.starts = np.flatnonzero(np.diff(self.labels, prepend=self.labels[:1] - 1))
        self.labels = self.labels[self.starts]
        self.lasts = np.array([ends[place][1].toordinal() for place in self.starts], np.int64)

    @cached_property
    def spans(self) -> list[tuple[date, date]]:
        """First and last day of each bar."""
        pairs = zip(self.labels.tolist(), self.lasts.tolist(), strict=True)
        return [(date.fromordinal(first), date.fromordinal(last)) for first, last in pairs]

    def any(self, days: Mask) -> Mask:
        """Whether any day of each bar is among these."""
        return np.logical_or.reduceat(days, self.starts)

    def least(self, counts: Ints) -> Ints:
        """The smallest count on any day of each bar."""
        return np.minimum.reduceat(counts, self.starts)

    def labelled(self, told: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
        """What is told of the day that labels each bar, its first."""
        return told[self.starts]
