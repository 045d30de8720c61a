"""The requests that may fill the gaps, as an ordinary plan."""

from __future__ import annotations

from actors.market.session_days import REFERENCE_INDEX
from cluster.derived import is_derived, minutes_for
from cluster.plan import Plan, Want, plan
from cluster.verify.judgement import Reason
from cluster.verify.openings import DAILY
from cluster.verify.verification import Verification

#: Of bars that are derived: there will be others once the minutes are in order.
_UNMADE = frozenset({Reason.NEVER_ASKED, Reason.NOT_FINAL, Reason.STALE})


def repair(found: Verification, *, derive: bool = False) -> Plan:
    """Ask for every gap again, in the fewest requests; and for the calendar where it is missing.

    With `derive`, for minutes in the place of what is made of them; where that was only not made yet,
    there is nothing to ask.
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
