"""What can be said of a screen before a run fetches what it asks about. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date
from math import ceil
from typing import TYPE_CHECKING

from actors.market.errors import UsageError
from actors.market.timeframe import Timeframe, Unit
from actors.writer.naming import by_length
from cluster.screen.question import SESSION_MINUTES
from cluster.screen.tree import Reach, reach

if TYPE_CHECKING:
    from cluster.screen.screen import Screen

#: There are some 245 sessions in 365 days.
_DAYS_A_BAR = {Unit.DAY: 365 / 245, Unit.WEEK: 7.0, Unit.MONTH: 365 / 12}


def refuse(screen: Screen, fetched: Collection[str], held: Collection[str]) -> None:
    """Raises UsageError if it asks about a timeframe that is neither fetched nor held (labels)."""
    lacking = {*screen.question.labels} - {*fetched, *held}
    if lacking:
        there = f"the config fetches {', '.join(by_length(fetched))}"
        there += f", the store holds {', '.join(by_length(held))}" if held else ""
        raise UsageError(f"asks about {', '.join(by_length(lacking))}; {there}", "--screen")


def shortness(screen: Screen, days: Mapping[str, tuple[date, date]]) -> Iterator[str]:
    """Where it looks back further than the days, first and last, that there will be of a timeframe."""
    question = screen.question
    for frame, far in reach(question.where).items():
        timeframe = question.timeframes[frame]
        if timeframe.label not in days:
            continue
        first, last = days[timeframe.label]
        there, needed = (last - first).days + 1, needed_days(timeframe, far)
        if there < needed:
            bars = f"{far.bars + 1:,} bars of {timeframe}, some {needed:,} days"
            yield (
                f"{screen.name} looks back {bars}; there will be {there:,}, from {first} on. "
                "It finds most instruments too short."
            )


def needed_days(timeframe: Timeframe, far: Reach) -> int:
    """Of the calendar, in which about so many bars come together."""
    bars = far.bars + 1
    if timeframe.is_intraday:
        sessions = ceil(bars / max(1, SESSION_MINUTES // timeframe.minutes))
        return max(far.days, ceil(sessions * _DAYS_A_BAR[Unit.DAY]))
    return max(far.days, ceil(bars * timeframe.interval * _DAYS_A_BAR[timeframe.unit]))
