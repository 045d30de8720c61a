"""The 1-minute path of a run of days, made to have exactly each day's prices and volume.

Each day's path is a bridge from its open to its close over a random walk, held within its high and
low. Days are rows and minutes columns of one matrix; minutes without a trade are left out at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from cluster.lookalike.bars import Bars, Ints
from cluster.lookalike.character import Character
from cluster.lookalike.days import DayTable
from cluster.lookalike.randomness import BELL_SD, Lanes, bell, fingerprint, lanes
from cluster.lookalike.trading_days import Calendar

Mask: TypeAlias = npt.NDArray[np.bool_]

_LANES_PER_BLOCK = 16
_LANES_PER_MINUTE = 8
_BRIDGE_RANGE = 1.25  # a Brownian bridge's mean range, in standard deviations of its whole walk


@dataclass(frozen=True, slots=True)
class _Draw:
    """Random lanes of D days of S minutes, and which of those minutes trade."""

    lanes: Lanes  # D x S x 8
    trades: Mask  # D x S
    length: Ints  # D x 1: minutes in the day's session


def minute_bars(who: Character, table: DayTable, calendar: Calendar, days: slice) -> Bars:
    """Every traded minute of the calendar's `days`; prices in paise."""
    random = _draw(who, table, calendar, days)
    shape = random.trades.shape
    opening, close = _walk(table, days, random)
    high, low = _wicks(table, days, random, opening, close)
    volume = _volume(table, days, random)
    oi = _oi(table, days, random)
    day = np.broadcast_to(calendar.days[days, None], shape)
    minute = calendar.opens_at[days, None] + np.arange(shape[1])
    prices = [ticks * who.tick_paise for ticks in (opening, high, low, close)]
    columns = (day, minute, *prices, volume, oi)
    if random.trades.all():
        return Bars(*(column.reshape(-1) for column in columns))
    return Bars(*(column[random.trades] for column in columns))


def _draw(who: Character, table: DayTable, calendar: Calendar, days: slice) -> _Draw:
    minutes = calendar.regular.minutes
    blocks = -(-minutes * _LANES_PER_MINUTE // _LANES_PER_BLOCK)
    count = days.stop - days.start
    key = fingerprint(who.random_key, "minutes")
    raw = lanes(key, days.start * blocks, count, blocks)
    random = raw[:, : minutes * _LANES_PER_MINUTE].reshape(count, minutes, _LANES_PER_MINUTE)
    length = calendar.minutes[days, None]
    trades = np.broadcast_to(table.traded[days, None], (count, minutes))
    if (length < minutes).any():
        trades = trades & (np.arange(minutes) < length)
    if who.is_thin:
        chance = np.where(trades, random[:, :, 7], np.uint16(65_535))
        # The likeliest minute always trades: a day with volume has a candle.
        trades = trades & ((chance < who.minute_chance) | _only(chance.argmin(axis=1), minutes))
    return _Draw(random, trades, length)


def _only(place: Ints, minutes: int) -> Mask:
    only: Mask = np.arange(minutes) == place[:, None]
    return only


def _ends(trades: Mask) -> tuple[Ints, Ints]:
    """First and last traded minute of each day."""
    return trades.argmax(axis=1), trades.shape[1] - 1 - trades[:, ::-1].argmax(axis=1)


def _walk(table: DayTable, days: slice, random: _Draw) -> tuple[Ints, Ints]:
    steps = bell(random.lanes[:, :, :4])
    start, end = table.open[days, None], table.close[days, None]
    minutes = steps.shape[1]
    rows = np.arange(len(steps))
    walked = np.cumsum(steps, axis=1)
    share = np.minimum(np.arange(1, minutes + 1) / random.length, 1.0)
    whole = walked[rows, random.length[:, 0] - 1][:, None]
    spread = table.high[days, None] - table.low[days, None]
    scale = spread / (_BRIDGE_RANGE * BELL_SD * np.sqrt(random.length))
    path = start + (end - start) * share + (walked - whole * share) * scale
    close = np.rint(path).astype(np.int64)
    np.clip(close, table.low[days, None], table.high[days, None], out=close)
    opening = np.empty_like(close)
    opening[:, 1:] = close[:, :-1]
    first, last = _ends(random.trades)
    opening[rows, first] = start[:, 0]
    close[rows, last] = end[:, 0]
    return opening, close


def _wicks(
    table: DayTable, days: slice, random: _Draw, opening: Ints, close: Ints
) -> tuple[Ints, Ints]:
    top, bottom = table.high[days, None], table.low[days, None]
    reach = 1 + (top - bottom) // 24
    above = random.lanes[:, :, 4] * reach >> 16
    below = random.lanes[:, :, 5] * reach >> 16
    high = np.minimum(np.maximum(opening, close) + above, top)
    low = np.maximum(np.minimum(opening, close) - below, bottom)
    rows = np.arange(len(high))
    high[rows, np.where(random.trades, high, -1).argmax(axis=1)] = top[:, 0]
    low[rows, np.where(random.trades, -low, np.iinfo(np.int64).min).argmax(axis=1)] = bottom[:, 0]
    return high, low


def _volume(table: DayTable, days: slice, random: _Draw) -> Ints:
    """The day's volume in whole shares: one at least to a minute that trades, more at both ends."""
    total = table.volume[days, None]
    if not total.any():
        return np.zeros(random.trades.shape, np.int64)
    minutes = random.trades.shape[1]
    from_middle = np.abs(np.arange(minutes) * 2 - minutes)
    busy = 64 + 192 * from_middle * from_middle // (minutes * minutes)
    weight = np.where(random.trades, busy * (16 + (random.lanes[:, :, 6] >> 8)), 0)
    weighed = np.cumsum(weight, axis=1)
    spare = total - random.trades.sum(axis=1, keepdims=True)
    handed = spare * weighed // np.maximum(weighed[:, -1:], 1)
    shares: Ints = np.diff(handed, axis=1, prepend=0) + random.trades
    return shares


def _oi(table: DayTable, days: slice, random: _Draw) -> Ints:
    """From the day before's open interest to the day's own, evenly."""
    shape = random.trades.shape
    if not table.oi.any():
        return np.zeros(shape, np.int64)
    before = np.concatenate((table.oi[:1], table.oi))[days.start : days.stop, None]
    after = table.oi[days, None]
    oi = before + (after - before) * np.arange(1, shape[1] + 1) // random.length
    oi[np.arange(shape[0]), _ends(random.trades)[1]] = after[:, 0]
    return np.asarray(oi, np.int64)
