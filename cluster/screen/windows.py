"""Windows over flat columns of many instruments. No window reaches from one into the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from cluster.screen.bars import Bars, Ints, Values


def shifted(bars: Bars, values: Values, back: int) -> Values:
    """What each value was `back` bars of its instrument ago; NaN where there was none."""
    if back == 0:
        return values
    moved = np.full(len(values), np.nan)
    moved[back:] = values[:-back]
    moved[bars.place < back] = np.nan
    return moved


def by_run(
    bars: Bars,
    inputs: Sequence[Values],
    lookback: int,
    outputs: int,
    compute: Callable[..., Sequence[Values]],
) -> tuple[Values, ...]:
    """`compute` over each unbroken run of known values of an instrument.

    A window that holds an unknown value is unknown; it does not spoil what comes after. The first
    `lookback` values of a run are unknown, whatever `compute` says.
    """
    found = tuple(np.full(len(bars), np.nan) for _ in range(outputs))
    for first, end in _runs(bars, inputs).tolist():
        if end - first <= lookback:
            continue
        for into, values in zip(found, compute(*(v[first:end] for v in inputs)), strict=True):
            into[first + lookback : end] = values[lookback:]
    for values in found:
        values[~np.isfinite(values)] = np.nan  # divided by zero
    return found


def _runs(bars: Bars, inputs: Sequence[Values]) -> Ints:
    """First and end (not included) of each run in which all inputs are known."""
    known = np.ones(len(bars), bool)
    for values in inputs:
        known &= ~np.isnan(values)
    if known.all():
        return np.stack([bars.starts[:-1], bars.starts[1:]], axis=1)
    before = np.concatenate([[False], known[:-1]]) & (bars.place > 0)
    first = np.flatnonzero(known & ~before)
    after = np.concatenate([known[1:] & (bars.place[1:] > 0), [False]])
    return np.stack([first, np.flatnonzero(known & ~after) + 1], axis=1)


def extreme_since(
    values: Values, since: Ints, greater: Callable[[Values, Values], Values]
) -> Values:
    """The greatest (`np.maximum`) or least (`np.minimum`) of `values[since[i]]` to `values[i]`.

    A sparse table, of which only the level being looked at is kept: level `k` holds the extreme of
    the 2 ** k values from each on, and two of them cover any window.
    """
    here = np.arange(len(values))
    length = here - since + 1
    level_of = np.frexp(length.astype(np.float64))[1] - 1
    found = np.full(len(values), np.nan)
    level = values.copy()
    for k in range(int(level_of.max(initial=-1)) + 1):
        wanted = np.flatnonzero(level_of == k)
        found[wanted] = greater(level[since[wanted]], level[here[wanted] - (1 << k) + 1])
        step = 1 << k
        if step < len(level):
            level[:-step] = greater(level[:-step], level[step:])
    return found


def by_session(bars: Bars, values: Values) -> Values:
    """The sum from each session's first bar on. Each session by itself, to lose no digit."""
    total = np.empty(len(values))
    firsts = np.flatnonzero(bars.session_start == np.arange(len(values))).tolist()
    for first, end in pairwise([*firsts, len(values)]):
        np.cumsum(values[first:end], out=total[first:end])
    return total
