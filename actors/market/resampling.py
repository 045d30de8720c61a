"""Longer bars made of 1-minute bars, on the provider's own grid. Never a day: its close is no minute's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from actors.market.candles import BARS
from actors.market.epoch import US_A_DAY, US_A_MINUTE, day_number, day_of
from actors.market.sessions import IST_SHIFT_US

Ints = npt.NDArray[np.int64]


def resampled(bars: pa.Table, minutes: int, openings: Mapping[date, int], usual: int) -> pa.Table:
    """BARS of `minutes` out of 1-minute BARS, which ascend.

    They are counted from the opening of each session, `openings` or else `usual`, in minutes of the
    IST day; the last one before the close may be short. A bar is there if any of its minutes is.
    """
    if not bars.num_rows:
        return bars
    ts: Ints = bars["ts"].cast(pa.int64()).to_numpy()
    start = ts - (_minute(ts) - _opening(ts, openings, usual)) % minutes * US_A_MINUTE
    begins = np.flatnonzero(np.diff(start, prepend=start[0] - 1))
    ends = np.append(begins[1:], len(start)) - 1
    columns = {
        "ts": pa.array(start[begins]).cast(BARS.field("ts").type),
        "open": _column(bars, "open")[begins],
        "high": np.maximum.reduceat(_column(bars, "high"), begins),
        "low": np.minimum.reduceat(_column(bars, "low"), begins),
        "close": _column(bars, "close")[ends],
        "volume": np.add.reduceat(_column(bars, "volume"), begins),
        "oi": _column(bars, "oi")[ends],
    }
    return pa.table([columns[name] for name in BARS.names], schema=BARS)


def openings_of(bars: pa.Table, usual: int) -> dict[date, int]:
    """When each session opened, by 1-minute BARS of an index: it has one of every open minute.

    With a bar at the usual minute it opened then, whatever came before; else with its first bar.
    """
    ts: Ints = bars["ts"].cast(pa.int64()).to_numpy()
    days, minutes = (ts + IST_SHIFT_US) // US_A_DAY, _minute(ts)
    found: dict[date, int] = {}
    for day in np.unique(days).tolist():
        mine = minutes[days == day]
        found[day_of(day)] = usual if usual in mine else int(mine.min())
    return found


def _minute(ts: Ints) -> Ints:
    """Minute of the IST day."""
    return (ts + IST_SHIFT_US) % US_A_DAY // US_A_MINUTE


def _opening(ts: Ints, openings: Mapping[date, int], usual: int) -> Ints:
    """When the session of each bar's day opened."""
    days, place = np.unique((ts + IST_SHIFT_US) // US_A_DAY, return_inverse=True)
    known = {day_number(day): minute for day, minute in openings.items()}
    return np.array([known.get(day, usual) for day in days.tolist()], np.int64)[place]


def _column(bars: pa.Table, name: str) -> npt.NDArray[Any]:
    return bars[name].to_numpy()  # type: ignore[no-any-return]
