"""What came, held against what stands. Pure.

Only what differs is written: of a month asked for again, most often its new days and nothing else. And
where bars that had been final are no longer what they were, the provider has rewritten its history.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from actors.market.candles import BARS, CANDLES
from actors.market.epoch import day_number, day_of

if TYPE_CHECKING:
    from datetime import date

    from actors.writer.predicate import Days

#: Columns of some rows of one series, in the order of time.
Rows = dict[str, npt.NDArray[Any]]

_VALUES = [name for name in BARS.names if name != "ts"]
_PRICES = ["open", "high", "low", "close"]
_COLUMNS = ["ts", "date", *_VALUES, "final"]

Mask = npt.NDArray[np.bool_]

#: The exchange's, to which the provider rounds what it makes of a price; and what floats make of that.
_TICK_RUPEES = 0.05 + 1e-6

#: What of CANDLES a comparison needs to know of the rows that stand.
STANDING = pa.schema([CANDLES.field(name) for name in ("instrument_key", "timeframe", *_COLUMNS)])


@dataclass(frozen=True, slots=True)
class Difference:
    """How an answer differs from the rows that stand on its days."""

    first: date | None = None  # the first day that is not as it stands; None: none
    appends: bool = True  # nothing stands from that day on
    revised: int = 0  # bars that were final and have changed, gone or come
    ratio: float | None = None  # new close to old close, the median of the changed
    revised_days: tuple[date, date] | None = None  # first and last of them
    reaches_back: bool = (
        False  # the history was rewritten: older days than these may have changed, too
    )


class Standing:
    """The rows that stand, by series."""

    def __init__(self, rows: pa.Table) -> None:
        """`rows` are STANDING, in any order."""
        columns = rows_of(rows)
        encoded = [rows[name].combine_chunks().dictionary_encode() for name in STANDING.names[:2]]
        codes = [array.indices.to_numpy() for array in encoded]
        order = np.lexsort((columns["ts"], *reversed(codes)))
        self._columns = {name: column[order] for name, column in columns.items()}
        pairs = np.stack([code[order] for code in codes])
        begins = np.ones(len(order), bool)
        begins[1:] = np.any(pairs[:, 1:] != pairs[:, :-1], axis=0)
        starts = np.flatnonzero(begins).tolist()
        names = [array.dictionary.to_pylist() for array in encoded]
        self._slices = {
            (names[0][pairs[0, start]], names[1][pairs[1, start]]): slice(start, end)
            for start, end in pairwise([*starts, len(order)])
        }

    def of(self, days: Days) -> Rows:
        where = self._slices.get((days.instrument_key, days.timeframe.label), slice(0, 0))
        rows = {name: column[where] for name, column in self._columns.items()}
        first, last = day_number(days.first), day_number(days.last)
        start, end = np.searchsorted(rows["date"], [first, last + 1])
        return {name: column[start:end] for name, column in rows.items()}


def rows_of(candles: pa.Table | None) -> Rows:
    """The columns that a comparison looks at; of no rows, if there is no table."""
    candles = CANDLES.empty_table() if candles is None else candles
    kinds = {"ts": pa.int64(), "date": pa.int32()}
    return {
        name: candles[name].cast(kinds.get(name, candles[name].type)).to_numpy()
        for name in _COLUMNS
    }


def compare(old: Rows, new: Rows) -> Difference:
    """`old` and `new` are of the same days of one series."""
    theirs, mine = _met(old, new)
    before, after = _at(old, theirs), _at(new, mine)
    changed = np.logical_or.reduce([before[name] != after[name] for name in _VALUES])
    settled = before["final"] != after["final"]
    gone, came = np.ones(len(old["ts"]), np.bool_), np.ones(len(new["ts"]), np.bool_)
    gone[theirs], came[mine] = False, False
    other = [new["date"][came], after["date"][changed | settled], old["date"][gone]]
    first = min((int(days.min()) for days in other if len(days)), default=None)
    if first is None:
        return Difference()
    revised = before["final"] & changed
    lost, late = old["date"][gone & old["final"]], _come_later(old, new["date"][came])
    return Difference(
        first=day_of(first),
        appends=not (old["date"] >= first).any(),
        **_revision(
            days=np.concatenate([before["date"][revised], lost, late]),
            closes=(before["close"][revised], after["close"][revised]),
            reaches_back=_reaches_back(before, after, revised, before["final"] & after["final"]),
        ),
    )


def _met(old: Rows, new: Rows) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Where the bars of equal stamps stand, in `old` and in `new`."""
    _, theirs, mine = np.intersect1d(old["ts"], new["ts"], assume_unique=True, return_indices=True)
    return theirs, mine


def _come_later(old: Rows, came: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Days of new bars on days of which all that stands is final."""
    is_open = np.isin(came, old["date"][~old["final"]])
    return came[np.isin(came, old["date"]) & ~is_open]


def _revision(
    days: npt.NDArray[Any],
    closes: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    reaches_back: bool,
) -> dict[str, Any]:
    if not len(days):
        return {}
    before, after = closes
    return {
        "revised": len(days),
        "ratio": float(np.median(after / before)) if len(before) else None,
        "revised_days": (day_of(days.min()), day_of(days.max())),
        "reaches_back": reaches_back,
    }


def _reaches_back(old: Rows, new: Rows, revised: Mask, compared: Mask) -> bool:
    """Whether the provider has rewritten its history, rather than corrected a bar or a day.

    A day has changed if most of its bars have. A rewriting begins with the oldest day `compared`. It
    changes most of all days, of two at the least; or of that one all prices by one ratio, as splits,
    bonuses and dividends do.
    """
    days, place = np.unique(old["date"][compared], return_inverse=True)
    if not len(days):
        return False
    hits = np.bincount(place[revised[compared]], minlength=len(days))
    changed = 2 * hits > np.bincount(place)
    count = np.count_nonzero(changed)
    oldest = revised & compared & (old["date"] == days[0])
    return bool(changed[0]) and (
        bool(count > 1 and 2 * count > len(days))
        or _by_one_ratio(_at(old, oldest), _at(new, oldest))
    )


def _by_one_ratio(old: Rows, new: Rows) -> bool:
    """Whether every price has changed, and all by one ratio but for rounding to the exchange's tick.

    Half a tick each is the error of an old price and of a new one, and of both closes that the ratio
    is taken of. What moves the closes by no more than a tick may be nothing but that.
    """
    ratio = np.median(new["close"] / old["close"])
    if (np.abs(ratio - 1) * old["close"] <= _TICK_RUPEES).any():
        return False
    rounding = _TICK_RUPEES / 2 * (1 + ratio)
    for name in _PRICES:
        error = np.abs(new[name] - old[name] * ratio)
        at_most = rounding * (1 + old[name] / old["close"])
        if (new[name] == old[name]).any() or (error > at_most).any():
            return False
    return True


def _at(rows: Rows, where: npt.NDArray[Any]) -> Rows:
    return {name: column[where] for name, column in rows.items()}
