"""What a question finds in bars that are given. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

import numpy as np

from actors.market.sessions import IST
from cluster.screen.bars import UNIX_DAY, Bars, Bools, Ints
from cluster.screen.evaluation import Evaluation
from cluster.screen.question import Question
from cluster.screen.tree import Constant, Reach, Shifted, Tree, reach

_UNIX_START = datetime(1970, 1, 1, 5, 30, tzinfo=IST)


@dataclass(frozen=True, slots=True)
class Looked:
    """One instrument at its last bar. A value nobody knows is None."""

    key: str
    close: float
    ts: datetime  # start of the bar, IST
    end: datetime  # when it was over
    newest: Mapping[str, date]  # day of its last bar, by timeframe
    used: Mapping[str, tuple[date, date]]  # days of the first and last bar counted on, likewise
    short: frozenset[str]  # timeframes of which older bars would be counted on, were there any
    not_final: int  # of the bars counted on, in all timeframes
    matches: bool | None
    unknown: tuple[bool, str] | None  # why nobody knows: whether it is for too few bars, and which
    rank: float | None
    shown: tuple[float | None, ...]


def look(question: Question, frames: Mapping[str, Bars]) -> tuple[list[Looked], dict[str, str]]:
    """The instruments that have bars in every timeframe, and of the others which one they lack."""
    evaluation = Evaluation(frames)
    base = frames[question.base]
    lacking = {
        key: str(question.timeframes[frame])
        for frame, bars in frames.items()
        for key, count in zip(bars.keys, bars.counts.tolist(), strict=True)
        if not count
    }
    there = [n for n, key in enumerate(base.keys) if key not in lacking]
    last = base.starts[1:][there] - 1
    where, *others = (evaluation.at(tree, question.base, last) for tree in question.trees)
    rank = others.pop(0) if question.rank is not None else np.full(len(last), np.nan)
    far = question.reach()
    newest = {frame: bars.day[bars.starts[1:][there] - 1] for frame, bars in frames.items()}
    used = {
        frame: _used(
            bars,
            bars.starts[:-1][there],
            last if frame == question.base else evaluation.places(frame, question.base)[last],
            far[frame],
        )
        for frame, bars in frames.items()
    }
    ends = base.ends(last)
    found = [
        Looked(
            key=base.keys[n],
            close=float(base.columns["close"][last[i]]),
            ts=_moment(base.ts[last[i]]),
            end=_moment(ends[i]),
            newest={frame: _day(days[i]) for frame, days in newest.items()},
            used={
                frame: (_day(its.first[i]), _day(its.last[i]))
                for frame, its in used.items()
                if its.any[i]
            },
            short=frozenset(frame for frame, its in used.items() if its.short[i]),
            not_final=sum(int(its.not_final[i]) for its in used.values()),
            matches=None if np.isnan(where[i]) else bool(where[i]),
            unknown=_why(question, evaluation, n, int(last[i])) if np.isnan(where[i]) else None,
            rank=_known(rank[i]),
            shown=tuple(_known(values[i]) for values in others),
        )
        for i, n in enumerate(there)
    ]
    return found, lacking


class _Used(NamedTuple):
    """What is counted on of a timeframe, by instrument."""

    any: Bools
    first: Ints  # days of the first and last bar
    last: Ints
    short: Bools  # older ones would be, too, if there were any
    not_final: Ints  # how many may still change


def _used(bars: Bars, starts: Ints, over: Ints, far: Reach) -> _Used:
    last = np.maximum(over, starts)
    wanted = last - far.bars - far.settling
    short = (wanted < starts) | far.all
    first = np.where(short, starts, wanted)
    if far.days:
        year = [
            np.searchsorted(bars.day[s : e + 1], bars.day[e] - far.days) + s
            for s, e in zip(starts.tolist(), last.tolist(), strict=True)
        ]
        first = np.minimum(first, np.array(year, np.int64))
        short |= bars.day[starts] > bars.day[last] - far.days
    doubtful = np.concatenate([[0], np.cumsum(~bars.final)])
    not_final = np.where(over >= 0, doubtful[last + 1] - doubtful[first], 0)
    return _Used(over >= 0, bars.day[first], bars.day[last], short, not_final)


def _why(question: Question, evaluation: Evaluation, n: int, at: int) -> tuple[bool, str]:
    """Why nobody knows the answer for instrument `n` at bar `at` of the base."""
    for frame, far in reach(question.where).items():
        bars = evaluation.frames[frame]
        newest = at if frame == question.base else int(evaluation.places(frame, question.base)[at])
        start, timeframe = int(bars.starts[n]), question.timeframes[frame]
        there = max(newest - start + 1, 0)
        if there <= far.bars:
            return True, f"needs {far.bars + 1:,} bars of {timeframe}, has {there:,}"
        if far.days and bars.day[start] > bars.day[newest] - far.days:
            since = _day(bars.day[start])
            return True, f"needs {far.days} days of {timeframe}, has them from {since}"
    return False, str(_culprit(evaluation, question.where, question.base, at))


def _culprit(evaluation: Evaluation, tree: Tree, frame: str, at: int) -> Tree:
    """The innermost part that is unknown at bar `at` of `frame`."""
    for part in tree.parts:
        if isinstance(part, Constant):
            continue
        place = at - tree.bars if isinstance(tree, Shifted) else at
        if part.frame != frame:
            place = int(evaluation.places(part.frame, frame)[place])
        if place >= 0 and np.isnan(evaluation.at(part, part.frame, np.array([place]))[0]):
            return _culprit(evaluation, part, part.frame, place)
    return tree


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _day(number: int) -> date:
    return UNIX_DAY + timedelta(int(number))


def _moment(us: int) -> datetime:
    return _UNIX_START + timedelta(microseconds=int(us))
