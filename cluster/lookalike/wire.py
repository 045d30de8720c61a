"""Bars printed as the real service prints them, a column at a time.

Every row is laid out in words of four bytes, each looked up in a table of all it can be and padded
with NUL; striking out the NULs at the end leaves compact JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from cluster.lookalike.bars import Bars
from cluster.lookalike.trading_days import FIRST_DAY, LAST_DAY, epoch_day

Words: TypeAlias = npt.NDArray[np.uint32]

_HEAD = b'{"status":"success","data":{"candles":['
_TAIL = b"]}}"
EMPTY_BODY = _HEAD + _TAIL

_WORD_BYTES = 4
_GROUP = 10_000  # digits go four at a time
_PAISE = 100
_MINUTES_A_DAY = 1_440
_FIRST_LABEL = epoch_day(FIRST_DAY.replace(day=1))


def body_of(bars: Bars) -> bytes:
    """The answer that holds these bars, newest first."""
    if not len(bars):
        return EMPTY_BODY
    rows = _layout(bars)[::-1].tobytes().translate(None, b"\0")
    return b"".join((_HEAD, memoryview(rows)[:-1], _TAIL))


def _layout(bars: Bars) -> Words:
    prices = np.stack((bars.open, bars.high, bars.low, bars.close)).astype(np.int32)
    price_groups = _groups_needed(prices // _PAISE)
    volume_groups, oi_groups = _groups_needed(bars.volume), _groups_needed(bars.oi)
    width = 8 + 4 * (price_groups + 1) + volume_groups + 1 + oi_groups + 1
    words = np.empty((len(bars), width), np.uint32)
    words[:, :3] = _dates()[bars.day - _FIRST_LABEL]
    words[:, 3:8] = _times()[bars.minute]
    at = 8
    for price in prices:
        rupees = price // _PAISE
        _put(words, at, rupees, price_groups)
        words[:, at + price_groups] = _fractions()[price - rupees * _PAISE]
        at += price_groups + 1
    _put(words, at, bars.volume, volume_groups)
    at += volume_groups
    words[:, at] = _comma()
    _put(words, at + 1, bars.oi, oi_groups)
    words[:, -1] = _row_end()
    return words


def _groups_needed(numbers: npt.NDArray[np.integer]) -> int:
    return (len(str(int(numbers.max()))) + 3) // 4


def _put(words: Words, at: int, numbers: npt.NDArray[np.integer], groups: int) -> None:
    """Print whole numbers from 0 up into `groups` words from column `at` on."""
    for place in range(groups):
        rest = numbers // _GROUP ** (groups - 1 - place) if place < groups - 1 else numbers
        # Below 10,000 nothing stands to the left: no leading zeros.
        index = np.where(rest < _GROUP, rest, _GROUP + rest % _GROUP) if place else rest
        words[:, at + place] = _digits(shows_zero=place == groups - 1)[index]


def _table(texts: Iterable[str], words: int = 1) -> Words:
    texts = list(texts)
    table = np.array([text.encode() for text in texts], f"S{words * _WORD_BYTES}").view(np.uint32)
    table.setflags(write=False)
    return table if words == 1 else table.reshape(len(texts), words)


@cache
def _digits(*, shows_zero: bool) -> Words:
    """Each n as it stands at the left of a number, and at 10,000 + n as it stands further right."""
    left = (str(n) if n or shows_zero else "" for n in range(_GROUP))
    return _table([*left, *(f"{n:04d}" for n in range(_GROUP))])


@cache
def _fractions() -> Words:
    """Paise after the rupees, and the comma after them; whole rupees print as an integer."""
    return _table((f".{n:02d}".rstrip("0") if n else "") + "," for n in range(_PAISE))


@cache
def _dates() -> Words:
    days = np.arange(_FIRST_LABEL, epoch_day(LAST_DAY) + 1).astype("datetime64[D]")
    return _table((f'["{day}' for day in days), 3)


@cache
def _times() -> Words:
    return _table((f'T{n // 60:02d}:{n % 60:02d}:00+05:30",' for n in range(_MINUTES_A_DAY)), 5)


@cache
def _comma() -> np.uint32:
    return np.uint32(_table([","])[0])


@cache
def _row_end() -> np.uint32:
    return np.uint32(_table(["],"])[0])
