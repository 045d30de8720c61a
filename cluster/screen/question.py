"""A screen, understood: its expressions as trees, and what has to be read to answer it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Self

from actors.market.timeframe import Timeframe, Unit
from cluster.screen.bars import fineness
from cluster.screen.form import ScreenForm
from cluster.screen.parsing import condition, parse
from cluster.screen.tree import Column, Constant, Reach, Tree, reach, walk

DRAWN = ("open", "high", "low", "close", "volume")

#: Bars of a regular session, 09:15 to 15:30, by their minutes. Longer sessions have more.
SESSION_MINUTES = 375
#: There are some 245 sessions in 365 days; three holidays in a row happen. Where that is not enough,
#: more is read for those who lack bars.
_DAYS_A_SESSION, _HOLIDAYS = 1.5, 5
_DAYS = {Unit.DAY: _DAYS_A_SESSION, Unit.WEEK: 7.0, Unit.MONTH: 31.0}


@dataclass(frozen=True, slots=True)
class Question:
    timeframes: Mapping[str, Timeframe]  # those that are asked about
    base: str  # the one with the shortest bars: at the last of them the question is answered
    where: Tree
    rank: Tree | None
    show: tuple[tuple[str, Tree], ...]
    drawn: int = 0  # bars of the base before the last one that are wanted, too, to be looked at

    @classmethod
    def of(cls, form: ScreenForm) -> Self:
        """Raises UsageError, naming the key and the place in it."""
        named = form.named
        words: dict[str, Tree] = {}
        for word, text in form.define.items():
            words[word] = parse(text, named, f"define.{word}", words)
        where = condition(form.where, named, "where", words)
        rank = None if form.rank is None else parse(form.rank, named, "rank", words)
        show = tuple((k, parse(text, named, f"show.{k}", words)) for k, text in form.show.items())
        trees = [where, *([] if rank is None else [rank]), *(tree for _, tree in show)]
        used = {
            part.frame for tree in trees for part in walk(tree) if not isinstance(part, Constant)
        }
        timeframes = {name: timeframe for name, timeframe in named.items() if name in used}
        base = min(timeframes, key=lambda name: fineness(timeframes[name]))
        return cls(timeframes, base, where, rank, show)

    @property
    def labels(self) -> list[str]:
        return [timeframe.label for timeframe in self.timeframes.values()]

    @property
    def trees(self) -> list[Tree]:
        rank = [] if self.rank is None else [self.rank]
        return [self.where, *rank, *(tree for _, tree in self.show)]

    def reach(self) -> dict[str, Reach]:
        """How far back the answer looks in each timeframe."""
        found = dict.fromkeys(self.timeframes, Reach())
        for tree in self.trees:
            for frame, far in reach(tree).items():
                found[frame] = found[frame].beside(far)
        found[self.base] = found[self.base].then(Reach(self.drawn))
        return found

    def columns(self, frame: str) -> list[str]:
        """What is read of it; the price always is."""
        names = {
            part.name
            for tree in self.trees
            for part in walk(tree)
            if isinstance(part, Column) and part.frame == frame
        }
        names |= {*DRAWN} if self.drawn and frame == self.base else {"close"}
        return ["instrument_key", "ts", "final", *sorted(names)]

    def days_back(self) -> dict[str, int | None]:
        """How many days before the last one are to be read of each timeframe; None: all.

        Longer bars are looked at from each of the shorter ones, so they are read as far back before those.
        """
        far = self.reach()
        own = {name: days_of(timeframe, far[name]) for name, timeframe in self.timeframes.items()}
        base = own[self.base]
        return {
            name: days
            if name == self.base
            else None
            if days is None or base is None
            else days + base
            for name, days in own.items()
        }


def days_of(timeframe: Timeframe, far: Reach) -> int | None:
    """Days in which there are so many bars, sure but for instruments that hardly trade."""
    if far.all:
        return None
    bars = far.bars + far.settling + 1
    if timeframe.is_intraday:
        sessions = ceil(bars / max(1, SESSION_MINUTES // timeframe.minutes)) + 1
        days = sessions * _DAYS_A_SESSION
    else:
        days = bars * timeframe.interval * _DAYS[timeframe.unit]
    return _HOLIDAYS + ceil(days) + far.days
