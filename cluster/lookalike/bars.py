"""Candles as columns of integers, and how finer ones make coarser ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bars:
    """Ascending in time. A bar starts at `minute` of the IST day `day`; prices are in paise."""

    day: Ints  # epoch days
    minute: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    oi: Ints

    def __len__(self) -> int:
        return len(self.day)

    def rows(self, which: slice | npt.NDArray[np.bool_]) -> Bars:
        return Bars(
            self.day[which],
            self.minute[which],
            self.open[which],
            self.high[which],
            self.low[which],
            self.close[which],
            self.volume[which],
            self.oi[which],
        )

    def merged(self, day: Ints, minute: Ints) -> Bars:
        """Bars of the same new label, which stand side by side, made one."""
        if not len(self):
            return self
        changes = (day[1:] != day[:-1]) | (minute[1:] != minute[:-1])
        starts = np.concatenate(([0], np.flatnonzero(changes) + 1))
        ends = np.concatenate((starts[1:] - 1, [len(self) - 1]))
        return Bars(
            day[starts],
            minute[starts],
            self.open[starts],
            np.maximum.reduceat(self.high, starts),
            np.minimum.reduceat(self.low, starts),
            self.close[ends],
            np.add.reduceat(self.volume, starts),
            self.oi[ends],
        )
