"""What may fill the gaps: requests, as an ordinary plan, and bars to be made again."""

from __future__ import annotations

from actors.market.session_days import REFERENCE_INDEX
from actors.market.timeframe import DAILY
from actors.writer.coverage import held
from actors.writer.reading import Store
from cluster.derive import compute
from cluster.derived import MINUTE, due, is_derived, minutes_for
from cluster.plan import Plan, Want, plan
from cluster.verify.judgement import Reason
from cluster.verify.verification import Verification

#: Of bars that are derived: there will be others once the minutes are in order.
_UNMADE = frozenset({Reason.NEVER_ASKED, Reason.NOT_FINAL, Reason.STALE, Reason.LOST})


def repair(found: Verification, *, derive: bool = False) -> Plan:
    """Ask for every gap again, in the fewest requests; and for the calendar where it is missing.

    With `derive`, for minutes in the place of what is made of them; where that was only not made yet,
    or is lost, there is nothing to ask.
    """
    wants = []
    for verdict in found.verdicts:
        for gap in verdict.gaps:
            want = Want(verdict.instrument, verdict.timeframe, *gap.asks)
            if not (derive and is_derived(want)):
                wants.append(want)
            elif gap.reason not in _UNMADE:
                wants.append(minutes_for(want, found.now))
    if found.undecided and found.span is not None:
        wants.append(Want(REFERENCE_INDEX, DAILY, *found.span))
    # Of these days, what earlier receipts say is just what is in doubt.
    return plan(wants, {}, found.now)


def make_again(store: Store, found: Verification, run_id: str) -> int:
    """Make derived bars that are lost of the minutes that stand, and count them.

    The lock on the store is the caller's.
    """
    wants = [
        Want(verdict.instrument, verdict.timeframe, *gap.asks)
        for verdict in found.verdicts
        for gap in verdict.gaps
        if gap.reason is Reason.LOST
    ]
    derived = [want for want in wants if is_derived(want)]
    receipts = store.receipts()
    # As if nothing were made of them: what receipts say of the bars themselves is in doubt.
    minutes = {of: spans for of, spans in held(receipts).items() if of[1] == MINUTE.label}
    some = due(derived, receipts, minutes, found.now)
    return compute(store, some, run_id).bars
