"""The verdict on one series: how much of what is due is there, and every gap with its reason. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import numpy.typing as npt

from actors.market.instrument import Instrument
from actors.market.timeframe import Timeframe
from cluster.days import BarDays, Mask
from cluster.verify.answers import DeadLetter
from cluster.verify.audit import Loss
from cluster.verify.judgement import CODED, Codes, Reason

Places = npt.NDArray[np.intp]
Dates = tuple[date, date]  # first and last, both included


@dataclass(frozen=True, slots=True)
class Gap:
    """Sessions in a row, or weeks or months, that are missing for one reason."""

    reason: Reason
    first: date
    last: date
    sessions: int  # 0: rows are missing, but no whole session
    asks: Dates  # the days to ask for again
    note: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Counts are sessions, or weeks or months: `due` is `there`, `explained`, or in `gaps`."""

    instrument: Instrument
    timeframe: Timeframe
    due: int
    there: int
    explained: dict[Reason, int]
    gaps: tuple[Gap, ...]
    bars: int  # that stand on the days that are due
    market_bars: int  # that there would be, had each minute seen a trade

    @property
    def is_complete(self) -> bool:
        return not self.gaps

    @property
    def missing(self) -> int:
        return sum(gap.sessions for gap in self.gaps)


def gaps(
    codes: Codes,
    due: Mask,
    bars: BarDays,
    failed: Sequence[DeadLetter],
    lost: Sequence[Loss],
) -> tuple[Gap, ...]:
    """The gaps of one series in order of time, and the losses that took no whole session."""
    found = []
    unseen = list(lost)
    for reason, places in _runs(codes, np.flatnonzero(due)):
        gap = _gap(reason, places, bars)
        if reason is Reason.FAILED:
            gap = replace(gap, note=_why(gap, failed))
        elif reason is Reason.LOST:
            mine = [loss for loss in lost if _overlap(gap, loss.extent)]
            unseen = [loss for loss in unseen if loss not in mine]
            gap = replace(gap, asks=_around(gap, mine), note=_rows(mine))
        found.append(gap)
    found += [_partial(loss) for loss in unseen]
    return tuple(sorted(found, key=lambda gap: gap.first))


def explained(codes: Codes) -> dict[Reason, int]:
    """How many bars are not there for each reason that is no gap."""
    numbers = np.bincount(codes, minlength=len(CODED) + 1)[1:].tolist()
    return {reason: n for reason, n in zip(CODED, numbers, strict=True) if n and not reason.is_gap}


def _runs(codes: Codes, due: Places) -> Iterator[tuple[Reason, Places]]:
    """Each reason that is a gap, with the places in a row that have it."""
    mine = codes[due]
    for run in np.split(np.arange(len(due)), np.flatnonzero(np.diff(mine)) + 1):
        if len(run) and mine[run[0]] and (reason := CODED[mine[run[0]] - 1]).is_gap:
            yield reason, due[run]


def _gap(reason: Reason, places: Places, bars: BarDays) -> Gap:
    first, last = bars.spans[places[0]][0], bars.spans[places[-1]][1]
    return Gap(reason, first, last, len(places), (first, last))


def _partial(loss: Loss) -> Gap:
    first, last = map(date.fromordinal, loss.extent)
    return Gap(Reason.LOST, first, last, 0, (first, last), _rows([loss]))


def _why(gap: Gap, failed: Iterable[DeadLetter]) -> str:
    return "; ".join({letter.why: None for letter in failed if _overlap(gap, letter.span)})


def _rows(losses: Sequence[Loss]) -> str:
    rows = sum(loss.rows for loss in losses)
    return "1 row is not there" if rows == 1 else f"{rows:,} rows are not there"


def _around(gap: Gap, losses: Iterable[Loss]) -> Dates:
    """All days of the receipts whose rows are gone: which others of them are, nobody knows."""
    ends = [gap.asks, *(tuple(map(date.fromordinal, loss.extent)) for loss in losses)]
    return min(first for first, _ in ends), max(last for _, last in ends)


def _overlap(gap: Gap, span: tuple[int, int]) -> bool:
    return span[0] <= gap.last.toordinal() and gap.first.toordinal() <= span[1]
