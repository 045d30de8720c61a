"""Whether candles can be believed. A bad row is put aside with its reason; the others are kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from actors.market.epoch import US_A_DAY, US_A_MINUTE, day_number, day_of, moment_of
from actors.market.sessions import IST, IST_SHIFT_US, depends_on_opening
from actors.market.timeframe import Timeframe

Mask = npt.NDArray[np.bool_]
Stamps = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Inspection:
    good: pa.Table  # BARS
    bad: tuple[tuple[str, str], ...]  # the row as JSON, the reason


def inspect(
    bars: pa.Table, timeframe: Timeframe, first: date, last: date, opening_minute: int | None
) -> Inspection:
    """Part the believable from the others. `bars` ascend; `first` to `last` were asked for.

    Nothing here changes a value. A price of zero is as impossible as a negative one.
    """
    ts = stamps(bars)
    checks = [
        *_of_values(bars),
        ("outside the asked days", _inside(ts, timeframe, first, last)),
        (f"off the grid of {timeframe}", _on_grid(ts, timeframe, opening_minute)),
    ]
    sane: Mask = np.logical_and.reduce([mask for _, mask in checks])
    if sane.all():
        return Inspection(bars, ())
    bad = tuple(
        (row_text(bars, int(i)), next(reason for reason, mask in checks if not mask[i]))
        for i in np.flatnonzero(~sane)
    )
    return Inspection(bars.filter(pa.array(sane)), bad)


def stamps(bars: pa.Table) -> Stamps:
    """Microseconds since 1970 UTC of each bar."""
    return _column(bars, "ts").view(np.int64)


def row_text(bars: pa.Table, index: int) -> str:
    """Write one of BARS the way the provider does: a JSON list, its stamp in IST."""
    stamp_us = int(stamps(bars.slice(index, 1))[0])
    stamp = moment_of(stamp_us).astimezone(IST)
    values = [bars[name][index].as_py() for name in bars.schema.names[1:]]
    return json.dumps([stamp.isoformat(), *values])


def _column(bars: pa.Table, name: str) -> npt.NDArray[Any]:
    return bars[name].to_numpy()  # type: ignore[no-any-return]


def _of_values(bars: pa.Table) -> list[tuple[str, Mask]]:
    """Each reason with the rows that pass. What cannot be compared (NaN) does not pass."""
    opened, high, low, close = (_column(bars, name) for name in ("open", "high", "low", "close"))
    prices = (opened, high, low, close)
    finite: Mask = np.logical_and.reduce([np.isfinite(column) for column in prices])
    return [
        ("a price is not finite", finite),
        ("a price is not above zero", np.minimum(np.minimum(opened, close), low) > 0),
        ("high is below low", high >= low),
        ("open is outside low to high", (low <= opened) & (opened <= high)),
        ("close is outside low to high", (low <= close) & (close <= high)),
        ("volume is negative", _column(bars, "volume") >= 0),
        ("open interest is negative", _column(bars, "oi") >= 0),
    ]


def _inside(ts: Stamps, timeframe: Timeframe, first: date, last: date) -> Mask:
    days = (ts + IST_SHIFT_US) // US_A_DAY
    inside: Mask = ((day_number(first) <= days) & (days <= day_number(last))).astype(bool)
    if not timeframe.is_intraday:
        # A week or month may be labelled with a day outside the span and still hold one of it.
        for i in np.flatnonzero(~inside):
            opens, ends = timeframe.bar_days(day_of(days[i]))
            inside[i] = opens <= last and first <= ends
    return inside


def _on_grid(ts: Stamps, timeframe: Timeframe, opening_minute: int | None) -> Mask:
    in_day_us = (ts + IST_SHIFT_US) % US_A_DAY
    if not timeframe.is_intraday:
        return (in_day_us == 0).astype(bool)  # type: ignore[no-any-return]
    whole: Mask = (in_day_us % US_A_MINUTE == 0).astype(bool)
    interval = timeframe.minutes
    if opening_minute is None or interval == 1:
        return whole
    in_phase: Mask = (in_day_us // US_A_MINUTE - opening_minute) % interval == 0
    if not depends_on_opening(interval):
        return whole & in_phase
    # A special session may have a grid of its own; but no two grids overlap.
    return whole & (in_phase | ~_crowded(ts, whole & in_phase, interval))


def _crowded(ts: Stamps, anchors: Mask, interval: int) -> Mask:
    """Tell which stamps stand closer than `interval` minutes to an anchor of the same day."""
    anchor_ts = ts[anchors]
    if not len(anchor_ts):
        return np.zeros(len(ts), dtype=bool)
    days = (ts + IST_SHIFT_US) // US_A_DAY
    after = np.searchsorted(anchor_ts, ts)
    crowded = np.zeros(len(ts), dtype=bool)
    for place in (after - 1, after):
        there = (place >= 0) & (place < len(anchor_ts))
        nearest = anchor_ts[np.clip(place, 0, len(anchor_ts) - 1)]
        near = np.abs(nearest - ts) < interval * US_A_MINUTE
        same_day = (nearest + IST_SHIFT_US) // US_A_DAY == days
        crowded |= there & near & same_day
    return crowded
