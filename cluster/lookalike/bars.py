"""Candles as columns of integers, and how finer ones make coarser ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
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

    def split(self, ratio: float, tick: int) -> Bars:
        """As they are served once each share has become `ratio` shares; prices in whole ticks."""

        def price(paise: Ints) -> Ints:
            return np.maximum(np.rint(paise / (ratio * tick)), 1).astype(np.int64) * tick

        return Bars(
            self.day,
            self.minute,
            price(self.open),
            price(self.high),
            price(self.low),
            price(self.close),
            np.rint(self.volume * ratio).astype(np.int64),
            np.rint(self.oi * ratio).astype(np.int64),
        )

    def differing(self, share: float) -> Bars:
        """About this share of them, always the same ones, with another close between low and high."""
        dice = (self.day * 1_440 + self.minute) * 2_654_435_761 % 2**32
        close = np.where(dice < share * 2**32, (self.low + self.high) // 2, self.close)
        return replace(self, close=close)

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
