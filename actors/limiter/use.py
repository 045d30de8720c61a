"""A budget at one moment, as whoever predicts or shows it needs it. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from actors.limiter.budget import Budget
from actors.limiter.caution import Caution
from actors.limiter.clock import Reading
from actors.limiter.simulate import Contender, Course
from actors.limiter.terms import Terms
from actors.limiter.windows import WindowUse
from actors.market.window import NS_PER_S, Window


@dataclass(frozen=True, slots=True)
class Freeze:
    """The provider refuses requests (429), so none are sent for now."""

    lasts_s: float  # since the first refusal
    next_try_s: float  # from now
    counted: str  # our own count of each window when the last refusal came
    refused_at: datetime  # UTC; of the last refusal
    asked_ns: int  # the same on the limiter's clock: tells one from the next


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """What a run finds."""

    limits: tuple[Window, ...]  # what is to be had by the run, as far as it is trusted now
    windows: tuple[WindowUse, ...]  # in the same order; their times are the limiter's `boot_ns`
    course: Course  # what requests sent from now on meet, the run's own lanes apart
    freeze: Freeze | None
    trusted: float  # the smallest part of a limit that is trusted since a refusal; 1: the whole
    waiting: int = 0  # calls of the run that have no permit yet


def use_of(
    budget: Budget, now: Reading, terms: Terms, run_id: str = "", waiting: int = 0
) -> BudgetUse:
    """Seen by the run that has these terms."""
    balance = budget.balance
    together = budget.limits(now, terms)
    # As if nobody else spent: what the run may have by its share is not counted apart.
    limits = tuple(
        Window(min(all_.limit, own.limit), own.span_ns)
        for all_, own in zip(together, terms.own_windows, strict=True)
    )
    trusted = balance.narrowed(now, limits)
    frozen_until_ns = balance.frozen_until(now)
    rivals = [run for run in budget.runs(now) if run.run_id != run_id and run.pending]
    return BudgetUse(
        limits=trusted,
        windows=balance.use(now, trusted),
        course=Course(
            spent_ns=balance.overs(now),
            not_before_ns=0 if frozen_until_ns is None else frozen_until_ns - now.boot_ns,
            latency_ns=balance.latency_ns,
            priority=terms.priority,
            rivals=tuple(Contender(run.turn.priority, run.pending) for run in rivals),
        ),
        freeze=_freeze(balance.caution, now, frozen_until_ns),
        trusted=min((t.limit / w.limit for t, w in zip(trusted, limits, strict=True)), default=1.0),
        waiting=waiting,
    )


def _freeze(caution: Caution, now: Reading, until_ns: int | None) -> Freeze | None:
    began_ns = caution.began_ns()
    if until_ns is None or began_ns is None:
        return None
    refused_ns = now.wall_ns - (now.boot_ns - caution.asked_ns)
    return Freeze(
        lasts_s=(now.boot_ns - began_ns) / NS_PER_S,
        next_try_s=(until_ns - now.boot_ns) / NS_PER_S,
        counted=", ".join(map(str, caution.counted)),
        refused_at=datetime.fromtimestamp(refused_ns / NS_PER_S, UTC),
        asked_ns=caution.asked_ns,
    )
