"""Why a bar is not there: one reason for each. And the verdict on a series: its gaps. Pure.

A provider that skips a day says nothing of it, and one answer may be wrong. So a session without a
bar is suspicious after one answer and believed after two: the same days asked again, or another
timeframe of the instrument that has no bar there either. A bar of another timeframe refutes both.
An empty answer is one like any other; one of which rows were put aside as garbled is no witness at all.
Missing minutes of a day that has others are no gap: in a minute without a trade there is no bar.
A thin share has many days without a trade, so what only one answer lacks is unconfirmed, not missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import IntEnum, StrEnum

import numpy as np
import numpy.typing as npt

from actors.market.instrument import Instrument
from actors.market.timeframe import Timeframe
from cluster.days import BarDays, Ints, Mask
from cluster.verify.answers import DeadLetter, Loss
from cluster.wording import counted

Codes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.intp]
Dates = tuple[date, date]  # first and last, both included

BELIEVED = 2  # answers


class Grade(IntEnum):
    """How far what is wanted is there; the worst of some is the grade of all."""

    COMPLETE = 0
    UNCONFIRMED = 1  # complete, if answers that were given once are right
    GAPS = 2


class Reason(StrEnum):
    """Why a bar is not there, or not to be relied on."""

    NEVER_ASKED = "never asked"
    FAILED = "failed"  # and no later answer came; what stands is in doubt
    NOT_FINAL = "asked too early"  # before it had settled
    STALE = "rewritten since"  # the provider's history is another than when it was asked
    LOST = "stored, but gone"  # its receipt counts rows that do not stand
    MISSING = "missing although asked"  # a bar of another timeframe shows that it traded
    GARBLED = "answered, but garbled"  # rows were put aside, and no other answer tells of the day
    UNCONFIRMED = "no bar, by one answer"
    # What follows is no gap.
    BEFORE_LISTING = "before its first bar"
    NO_TRADE = "no trade, by two answers"

    @property
    def grade(self) -> Grade:
        """All but COMPLETE may be mended by a request."""
        if self is Reason.UNCONFIRMED:
            return Grade.UNCONFIRMED
        return Grade.COMPLETE if self in _EXPLAINED else Grade.GAPS

    @property
    def code(self) -> int:
        """Its number in `Codes`; 0 is a bar that needs no reason."""
        return CODED.index(self) + 1


_EXPLAINED = frozenset({Reason.BEFORE_LISTING, Reason.NO_TRADE})
CODED = tuple(Reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of one series: a place for each bar (below a day: for each day's bars)."""

    due: Mask  # wanted, settled by now, and the exchange was open on one of its days
    present: Mask  # it stands in the store
    provisional: Mask  # what stands of it is not final, or no longer
    answered: Mask  # whole, and after it had settled
    given: Ints  # such answers of the provider, sound ones; none was asked where bars are derived
    asked: Mask  # answered at all, be it too early
    stale: Mask  # answered before the provider rewrote its history
    failed: Mask  # a dead letter's
    garbled: Mask  # answered for good, but for rows that were put aside
    lost: Mask  # rows of its receipt are not there
    traded: Mask  # another timeframe of the instrument has a bar there
    silent: Ints  # sound answers of the other timeframes that have none
    unlisted: Mask  # over before the instrument's first bar of any timeframe


def judge(of: Evidence) -> Codes:
    """The code of the reason why each bar is a gap or not there; 0 for all others."""
    unanswered, told = ~of.answered, of.given + of.silent
    cases = [
        (~of.due, None),
        (unanswered & of.failed, Reason.FAILED),
        (unanswered & of.stale, Reason.STALE),
        (unanswered & of.asked, Reason.NOT_FINAL),
        (unanswered, Reason.NEVER_ASKED),
        # An answer lacked it that came after the one that brought it.
        (of.present & of.provisional & of.failed, Reason.FAILED),
        (of.present, None),
        # Of a receipt that lacks rows, a bar may still be one that there never was.
        (of.lost & (of.traded | (of.silent == 0)), Reason.LOST),
        (of.traded, Reason.MISSING),
        (of.unlisted, Reason.BEFORE_LISTING),
        (told >= BELIEVED, Reason.NO_TRADE),
        (of.garbled & (told == 0), Reason.GARBLED),
    ]
    codes = [np.uint8(0 if reason is None else reason.code) for _, reason in cases]
    found: Codes = np.select([case for case, _ in cases], codes, np.uint8(Reason.UNCONFIRMED.code))
    return found


@dataclass(frozen=True, slots=True)
class Gap:
    """Sessions in a row, or weeks or months, that are missing, or unconfirmed, for one reason."""

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
    def grade(self) -> Grade:
        return max((gap.reason.grade for gap in self.gaps), default=Grade.COMPLETE)

    def sessions(self, grade: Grade) -> int:
        """How many are missing, or unconfirmed."""
        return sum(gap.sessions for gap in self.gaps if gap.reason.grade is grade)


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
    return {r: n for r, n in zip(CODED, numbers, strict=True) if n and not r.grade}


def _runs(codes: Codes, due: Places) -> Iterator[tuple[Reason, Places]]:
    """Each reason that is worse than COMPLETE, with the places in a row that have it."""
    mine = codes[due]
    for run in np.split(np.arange(len(due)), np.flatnonzero(np.diff(mine)) + 1):
        if len(run) and mine[run[0]] and (reason := CODED[mine[run[0]] - 1]).grade:
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
    return f"{counted(rows, 'row')} {'is' if rows == 1 else 'are'} not there"


def _around(gap: Gap, losses: Iterable[Loss]) -> Dates:
    """All days of the receipts whose rows are gone: which others of them are, nobody knows."""
    ends = [gap.asks, *(tuple(map(date.fromordinal, loss.extent)) for loss in losses)]
    return min(first for first, _ in ends), max(last for _, last in ends)


def _overlap(gap: Gap, span: tuple[int, int]) -> bool:
    return span[0] <= gap.last.toordinal() and gap.first.toordinal() <= span[1]
