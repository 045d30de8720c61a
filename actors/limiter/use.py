"""A budget at one moment, as whoever predicts or shows it needs it. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from actors.limiter.budget import Budget
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
    refused_at: datetime  # UTC


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """What a run finds. Times are in seconds from now."""

    limits: tuple[Window, ...]  # what the run may fill, as far as it is trusted now
    windows: tuple[WindowUse, ...]  # in the same order; their times are the limiter's `boot_ns`
    course: Course  # what requests sent from now on meet, the run's own lanes apart
    freeze: Freeze | None
    trusted: float  # the smallest part of a limit that is trusted since a refusal; 1: the whole


def use_of(budget: Budget, now: Reading, terms: Terms, run_id: str = "") -> BudgetUse:
    """Seen by the run that has these terms."""
    balance = budget.balance
    windows = balance.use(now, terms)
    frozen_until_ns = balance.frozen_until(now)
    rivals = [run for run in budget.runs(now) if run.run_id != run_id and run.pending]
    return BudgetUse(
        limits=tuple(use.window for use in windows),
        windows=windows,
        course=Course(
            spent_ns=balance.overs(now),
            not_before_ns=0 if frozen_until_ns is None else frozen_until_ns - now.boot_ns,
            latency_ns=balance.latency_ns,
            priority=terms.priority,
            rivals=tuple(Contender(run.turn.priority, run.pending) for run in rivals),
        ),
        freeze=_freeze(budget, now, frozen_until_ns),
        trusted=min(
            (u.window.limit / w.limit for u, w in zip(windows, terms.limits, strict=True)),
            default=1.0,
        ),
    )


def _freeze(budget: Budget, now: Reading, until_ns: int | None) -> Freeze | None:
    since_ns, refusal = budget.balance.refused_since(), budget.balance.refusal
    if until_ns is None or since_ns is None or refusal is None:
        return None
    return Freeze(
        lasts_s=(now.boot_ns - since_ns) / NS_PER_S,
        next_try_s=(until_ns - now.boot_ns) / NS_PER_S,
        counted=", ".join(map(str, refusal.counted)),
        refused_at=datetime.fromtimestamp(refusal.at.wall_ns / NS_PER_S, UTC),
    )
