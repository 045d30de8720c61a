"""Why a bar is not there: one answer to each, from what the receipts and the other bars say. Pure.

A provider that skips a day says nothing of it, and one answer may be wrong. So a session without a
bar is suspicious after one answer and believed after two: the same days asked again, or another
timeframe of the instrument that has no bar there either. A bar of another timeframe refutes both.
Missing minutes of a day that has others are no gap: in a minute without a trade there is no bar.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from cluster.days import Ints, Mask

Codes = npt.NDArray[np.uint8]

BELIEVED = 2  # answers


class Reason(StrEnum):
    """Why a bar is not there, or not to be relied on."""

    NEVER_ASKED = "never asked"
    FAILED = "failed"  # and no later answer came
    NOT_FINAL = "asked too early"  # before it had settled
    STALE = "rewritten since"  # the provider's history is another than when it was asked
    LOST = "stored, but gone"  # its receipt counts rows that do not stand
    MISSING = "missing although asked"  # a bar of another timeframe shows that it traded
    UNCONFIRMED = "no bar, by one answer"
    # What follows is no gap.
    BEFORE_LISTING = "before its first bar"
    EMPTY = "answered as empty"
    NO_TRADE = "no trade, by two answers"

    @property
    def is_gap(self) -> bool:
        """Whether a request may fill it."""
        return self not in _EXPLAINED

    @property
    def code(self) -> int:
        """Its number in `Codes`; 0 is a bar that needs no reason."""
        return CODED.index(self) + 1


_EXPLAINED = frozenset({Reason.BEFORE_LISTING, Reason.EMPTY, Reason.NO_TRADE})
CODED = tuple(Reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of one series: a place for each bar (below a day: for each day's bars)."""

    due: Mask  # wanted, settled by now, and the exchange was open on one of its days
    present: Mask  # it stands in the store
    answered: Mask  # whole, and after it had settled
    given: Ints  # such answers of the provider; none was asked where bars are derived
    asked: Mask  # answered at all, be it too early
    stale: Mask  # answered before the provider rewrote its history
    failed: Mask  # a dead letter's
    empty: Mask  # answered for good, and expressly with nothing
    lost: Mask  # rows of its receipt are not there
    traded: Mask  # another timeframe of the instrument has a bar there
    silent: Ints  # sound answers of the other timeframes that have none
    unlisted: Mask  # over before the instrument's first bar of any timeframe


def judge(of: Evidence) -> Codes:
    """The code of the reason why each bar is a gap or not there; 0 for all others."""
    unanswered = ~of.answered
    cases = [
        (~of.due, None),
        (unanswered & of.failed, Reason.FAILED),
        (unanswered & of.stale, Reason.STALE),
        (unanswered & of.asked, Reason.NOT_FINAL),
        (unanswered, Reason.NEVER_ASKED),
        (of.present, None),
        # Of a receipt that lacks rows, a bar may still be one that there never was.
        (of.lost & (of.traded | (of.silent == 0)), Reason.LOST),
        (of.traded, Reason.MISSING),
        (of.empty, Reason.EMPTY),
        (of.unlisted, Reason.BEFORE_LISTING),
        (of.given + of.silent >= BELIEVED, Reason.NO_TRADE),
    ]
    codes = [np.uint8(0 if reason is None else reason.code) for _, reason in cases]
    found: Codes = np.select([case for case, _ in cases], codes, np.uint8(Reason.UNCONFIRMED.code))
    return found
