"""Brings what was spent before this computer's last start onto its present clock."""

from __future__ import annotations

import math

from actors.limiter.clock import Reading
from actors.limiter.ledger import Entry, Ledger
from actors.market.window import NS_PER_S

#: The disk is made to keep what was written at least so often while permits are granted.
SYNC_EVERY_NS = NS_PER_S // 2


def adopt(ledger: Ledger, budget: str, keep_ns: int, now: Reading) -> None:
    """Translate entries of earlier boots. Within `writing`; does nothing where there are none."""
    strangers = [entry for entry in ledger.entries(budget) if entry.at.boot_id != now.boot_id]
    if not strangers:
        return
    ages_ns = _ages_ns(strangers, now)
    for entry, age_ns in zip(strangers, ages_ns, strict=True):
        ledger.move(budget, entry, _ago(now, age_ns))
    # A computer that lost power may have lost the last writes before the next sync with it.
    lost_at = _ago(now, max(0, min(ages_ns) - SYNC_EVERY_NS))
    if now.boot_ns - lost_at.boot_ns < keep_ns:
        lifetime_ns = max(entry.lifetime_ns for entry in strangers)
        for _ in range(_unsynced_at_most(ledger, budget)):
            ledger.add(budget, "", lost_at, lifetime_ns)


def _ages_ns(strangers: list[Entry], now: Reading) -> list[int]:
    """How long ago, by the wall clock, which is all that two boots share.

    Found set back, it cannot say how long ago anything was: all of it is then now.
    """
    newest_wall_ns = max(entry.at.wall_ns for entry in strangers)
    if newest_wall_ns > now.wall_ns:
        return [0] * len(strangers)
    return [now.wall_ns - entry.at.wall_ns for entry in strangers]


def _unsynced_at_most(ledger: Ledger, budget: str) -> int:
    """Grants that the limits of any run allow between two syncs."""
    return max(
        (
            min(w.limit * math.ceil(SYNC_EVERY_NS / w.span_ns) for w in run.limits)
            for run in ledger.runs(budget)
            if run.limits
        ),
        default=0,
    )


def _ago(now: Reading, age_ns: int) -> Reading:
    return Reading(now.boot_id, now.boot_ns - age_ns, now.wall_ns - age_ns)
