"""Brings what was written before this computer's last start onto its present clock."""

from __future__ import annotations

import math
from collections.abc import Iterable

from actors.limiter.caution import Caution
from actors.limiter.clock import Reading
from actors.limiter.ledger import Ledger
from actors.limiter.terms import without
from actors.market.window import NS_PER_S

#: The disk is made to keep what was written at least so often while permits are granted.
SYNC_EVERY_NS = NS_PER_S // 2


def adopt(ledger: Ledger, budget: str, keep_ns: int, now: Reading) -> None:
    """Translate what earlier boots have written. Within `writing`; does nothing where there is none."""
    strangers = [entry for entry in ledger.entries(budget) if entry.at.boot_id != now.boot_id]
    caution = ledger.caution(budget)
    if caution is not None and caution[1].boot_id == now.boot_id:
        caution = None
    readings = [entry.at for entry in strangers] + ([caution[1]] if caution else [])
    readings += [run.seen for run in ledger.runs(budget) if run.seen.boot_id != now.boot_id]
    shifts_ns = _shifts_ns(readings, now)
    for entry in strangers:
        ledger.move(budget, entry, _moved(entry.at, shifts_ns, now))
    if caution is not None:
        text, at = caution
        moved = Caution.from_json(text).moved(shifts_ns[at.boot_id])
        ledger.put_caution(budget, moved.as_json(), _moved(at, shifts_ns, now))
    if strangers:
        newest_ns = max(_moved(entry.at, shifts_ns, now).boot_ns for entry in strangers)
        lifetime_ns = max(entry.lifetime_ns for entry in strangers)
        _book_lost(ledger, budget, newest_ns, lifetime_ns, keep_ns, now)


def _shifts_ns(readings: Iterable[Reading], now: Reading) -> dict[str, int]:
    """What to add to each boot's stamps. Readings stand in the order they were written.

    Within a boot its own clock is exact. Between two only the wall clock knows how much time went by: the
    latest reading of each boot is compared. Where it lies in the future, the clock was set back since, and
    that reading is taken for this moment. (A clock that was set forward while the computer was off cannot
    be told from time that went by.)
    """
    latest: dict[str, Reading] = {}
    for reading in readings:
        known = latest.get(reading.boot_id)
        if known is None or reading.boot_ns >= known.boot_ns:
            latest[reading.boot_id] = reading
    return {
        boot_id: now.boot_ns - max(0, now.wall_ns - reading.wall_ns) - reading.boot_ns
        for boot_id, reading in latest.items()
    }


def _moved(at: Reading, shifts_ns: dict[str, int], now: Reading) -> Reading:
    return Reading(now.boot_id, at.boot_ns + shifts_ns[at.boot_id], at.wall_ns)


def _book_lost(
    ledger: Ledger, budget: str, newest_ns: int, lifetime_ns: int, keep_ns: int, now: Reading
) -> None:
    """A computer that lost power may have lost the last writes before the next sync with it."""
    lost_ns = min(now.boot_ns, newest_ns + SYNC_EVERY_NS)
    if now.boot_ns - lost_ns >= keep_ns:
        return
    lost_at = Reading(now.boot_id, lost_ns, now.wall_ns - (now.boot_ns - lost_ns))
    for _ in range(_unsynced_at_most(ledger, budget)):
        ledger.add(budget, "", lost_at, lifetime_ns)


def _unsynced_at_most(ledger: Ledger, budget: str) -> int:
    """Grants that the limits of any run allow between two syncs."""
    allowed = [without(run.windows, [run.reserve]) for run in ledger.runs(budget) if run.windows]
    return max(
        (min(w.limit * math.ceil(SYNC_EVERY_NS / w.span_ns) for w in ws) for ws in allowed),
        default=0,
    )
