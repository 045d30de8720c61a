"""Numbers that depend on names alone: the same in every process and on every platform.

Only integers and correctly rounded floating point (+ - * /) are built on them elsewhere, so that no
maths library can move a price by a tick.
"""

from __future__ import annotations

import hashlib
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Lanes: TypeAlias = npt.NDArray[np.uint16]  # random 16-bit numbers

_WORD = np.dtype("<u8")
_LANE_BITS, _HALF_BITS = np.uint64(16), np.uint64(32)
_EVEN_LANES, _LOW_HALF = np.uint64(0x0000FFFF0000FFFF), np.uint64(0xFFFFFFFF)
_BELL_MEAN = 131_070
BELL_SD = 37_837
_LANES_PER_WORD = 4
_WORDS_PER_BLOCK = 4  # Philox yields four words for each step of its counter


def fingerprint(*parts: object) -> int:
    """128 bits that follow from the parts' text."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")


def fraction(*parts: object) -> float:
    """A number in [0, 1) that follows from the parts' text."""
    return (fingerprint(*parts) >> 75) / 2**53


def lanes(key: int, first_block: int, rows: int, blocks_per_row: int) -> Lanes:
    """Random 16-bit numbers, `rows` x `16 * blocks_per_row`.

    Row r holds what the stream has at block `first_block + r * blocks_per_row`, so any part of a
    stream can be had without what stands before it.
    """
    stream = np.random.Philox(key=key, counter=first_block)
    count = rows * blocks_per_row * _WORDS_PER_BLOCK
    words: npt.NDArray[np.uint64] = stream.random_raw(count)
    lanes_per_row = blocks_per_row * _WORDS_PER_BLOCK * _LANES_PER_WORD
    return words.astype(_WORD, copy=False).view("<u2").reshape(rows, lanes_per_row)


def bell(four_lanes: Lanes) -> npt.NDArray[np.int64]:
    """Sums of the last axis's four lanes, less their mean: near enough to a normal distribution."""
    words = four_lanes.view(_WORD)[..., 0]
    pairs = (words & _EVEN_LANES) + (words >> _LANE_BITS & _EVEN_LANES)
    sums = (pairs & _LOW_HALF) + (pairs >> _HALF_BITS)
    return sums.view(np.int64) - _BELL_MEAN
