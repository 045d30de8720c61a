"""All daily bars of an instrument, in one go and without its minutes.

The close wanders in the logarithm: whole steps of 1e-4, summed, and folded back at the ends of a
range.
"""

from __future__ import annotations

import numpy as np

from cluster.lookalike.bars import Ints
from cluster.lookalike.character import Character
from cluster.lookalike.randomness import BELL_SD, Lanes, bell, fingerprint, fraction, lanes
from cluster.lookalike.trading_days import Calendar

_RANGE = 15_000  # the price stays within e^-1.5 and e^1.5 of its base, wicks aside
_MARGIN = 2_000
_UPWARD = np.cumprod(np.concatenate(([1.0], np.full(_RANGE + _MARGIN, 1.0001))))
#: Powers of 1.0001. A running product rounds alike everywhere; exp() need not.
_GROWTH = np.concatenate((1 / _UPWARD[:0:-1], _UPWARD))
_BLOCKS_PER_DAY = 1  # sixteen lanes


class DayTable:
    """Columns over the calendar's days, prices in ticks. Only where `traded` is there a bar."""

    __slots__ = ("close", "high", "low", "oi", "open", "traded", "volume")

    def __init__(self, who: Character, calendar: Calendar) -> None:
        random = lanes(fingerprint(who.random_key, "days"), 0, len(calendar.days), _BLOCKS_PER_DAY)
        close, before = _wander(who, random)
        opening = before + (random[:, 4].astype(np.int64) - 32_768) * who.step // 65_536
        above = random[:, 5].astype(np.int64) * who.step // 65_536
        below = random[:, 6].astype(np.int64) * who.step // 65_536
        self.open = _ticks(who, opening)
        self.close = _ticks(who, close)
        self.high = _ticks(who, np.maximum(opening, close) + above)
        self.low = _ticks(who, np.minimum(opening, close) - below)
        self.traded = (
            (random[:, 7] < who.day_chance)
            & (calendar.days >= who.first_day)
            & (calendar.days <= who.last_day)
        )
        self.volume = _volume(who, random, calendar)
        self.oi = _oi(who, random)


def _wander(who: Character, random: Lanes) -> tuple[Ints, Ints]:
    """Close of each day and of the day before it, in 1e-4 of the logarithm."""
    sums = bell(random[:, :4])
    start = int(fraction(who.random_key, "start") * 2 * _RANGE)
    path = np.cumsum(sums * who.step // BELL_SD) + start
    turn = path % (4 * _RANGE)
    close = np.where(turn > 2 * _RANGE, 4 * _RANGE - turn, turn) - _RANGE
    before = np.concatenate(([start - _RANGE], close[:-1]))
    return close, before


def _ticks(who: Character, steps: Ints) -> Ints:
    return _grown(who.base_ticks, steps)


def _volume(who: Character, random: Lanes, calendar: Calendar) -> Ints:
    if not who.base_volume:
        return np.zeros(len(calendar.days), np.int64)
    sums = bell(random[:, 8:12])
    drawn = _grown(who.base_volume, sums // 16)
    return np.maximum(drawn, calendar.minutes)  # so that every minute can have its share


def _oi(who: Character, random: Lanes) -> Ints:
    if not who.base_oi:
        return np.zeros(len(random), np.int64)
    sums = bell(random[:, 12:16])
    return _grown(who.base_oi, sums // 16)


def _grown(base: float, steps: Ints) -> Ints:
    """Whole numbers `steps` of 1e-4 away from `base` in the logarithm."""
    grown: Ints = np.rint(base * _GROWTH[steps + _RANGE + _MARGIN]).astype(np.int64)
    return grown
