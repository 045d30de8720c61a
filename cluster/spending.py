"""What is spent of each budget now, by whom, and when it frees, for `candlefleet budget`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Column, Table

from actors.limiter.budget import Budget
from actors.limiter.clock import Reading, read
from actors.limiter.ledger import FILE_NAME, Ledger, RunEntry
from actors.limiter.terms import Terms
from actors.limiter.use import Freeze, use_of
from actors.limiter.windows import WindowUse
from actors.market.sessions import IST
from actors.market.window import NS_PER_S
from cluster.display import duration

NO_RUN = "(before a restart)"  # permits that may have been lost with the power, or were pruned


@dataclass(frozen=True, slots=True)
class RunShare:
    """One run's part in a budget."""

    run_id: str
    priority: str | None  # None: its entry is gone
    counted: tuple[int, ...]  # its permits in each window, in the order of the windows
    pending: int  # requests it has still to send; 0 once it has ended


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """One look at a budget."""

    name: str
    at: datetime
    boot_ns: int  # the same moment, on the clock of the windows
    windows: tuple[WindowUse, ...]
    trusted: float  # part of the limits that is trusted, after a refusal
    freeze: Freeze | None
    runs: tuple[RunShare, ...]

    def time_of(self, boot_ns: int | None) -> datetime | None:
        if boot_ns is None:
            return None
        return self.at + timedelta(seconds=(boot_ns - self.boot_ns) / NS_PER_S)

    def as_dict(self) -> dict[str, Any]:
        return {
            "budget": self.name,
            "windows": [self._window(use) for use in self.windows],
            "trusted": self.trusted,
            "frozen": None if self.freeze is None else self._frozen(self.freeze),
            "runs": [asdict(run) | {"counted": list(run.counted)} for run in self.runs],
        }

    def _window(self, use: WindowUse) -> dict[str, Any]:
        return {
            "limit": use.window.limit,
            "seconds": use.window.span_s,
            "counted": use.counted,
            "in_flight": use.in_flight,
            "left": use.left,
            "frees": _iso(self.time_of(use.frees_at_ns)),
            "all_free": _iso(self.time_of(use.empty_at_ns)),
        }

    def _frozen(self, freeze: Freeze) -> dict[str, Any]:
        return {
            "refused_at": _iso(freeze.refused_at),
            "seconds": round(freeze.lasts_s, 3),
            "next_try": _iso(self.at + timedelta(seconds=freeze.next_try_s)),
            "own_count": freeze.counted,
        }


def look(state_dir: Path) -> list[BudgetStatus]:
    """Every budget of this host from which anything was spent lately."""
    if not (state_dir / FILE_NAME).exists() and (state_dir.is_dir() or not state_dir.exists()):
        return []
    with closing(Ledger(state_dir)) as ledger:
        found = [_status(ledger, name) for name in ledger.budgets()]
    return [status for status in found if status is not None]


def tables(status: BudgetStatus) -> list[RenderableType]:
    """The same for people."""
    shown: list[RenderableType] = [_windows(status)]
    if refusal := _refusal(status):
        shown.append(refusal)
    if status.runs:
        shown.append(_runs(status))
    return shown


def _windows(status: BudgetStatus) -> Table:
    shown = Table(
        *("window", "limit", "counted", "in flight", "left", "next frees", "all free"),
        title=f"Budget {status.name}, {status.at.astimezone():%H:%M:%S}",
        title_justify="left",
    )
    for use in status.windows:
        shown.add_row(
            duration(use.window.span_s),
            *(f"{n:,}" for n in (use.window.limit, use.counted, use.in_flight, use.left)),
            *(_when(status, at_ns) for at_ns in (use.frees_at_ns, use.empty_at_ns)),
        )
    return shown


def _refusal(status: BudgetStatus) -> str | None:
    freeze = status.freeze
    if freeze is not None:
        when = f"in {duration(freeze.next_try_s)}" if freeze.next_try_s > 0 else "now"
        return (
            f"Refused (429) {duration(freeze.lasts_s)} ago, though we had counted "
            f"{freeze.counted}; the next request may ask {when}."
        )
    if status.trusted < 1:
        return f"After a refusal (429) limits are trusted to {status.trusted:.0%}, more from span to span."
    return None


def _runs(status: BudgetStatus) -> Table:
    spans = [f"in {duration(use.window.span_s)}" for use in status.windows]
    # Its id is to be copied: rather let the headings be folded.
    shown = Table(Column("run", no_wrap=True), "priority", *spans, "still to send")
    for run in status.runs:
        counted = (f"{n:,}" for n in run.counted)
        shown.add_row(run.run_id, run.priority or "", *counted, f"{run.pending:,}")
    return shown


def _status(ledger: Ledger, name: str) -> BudgetStatus | None:
    now, runs = read(), ledger.runs(name)
    budget = Budget(ledger, name, "", now)
    # As the run knows them that was there last.
    newest = max(runs, key=lambda run: run.seen.wall_ns, default=None)
    if newest is None:
        return None
    terms = Terms(name, newest.windows, timeout_s=0.0)
    use = use_of(budget, now, terms)
    shares = tuple(_shares(ledger, name, budget, now, runs, terms))
    if not shares and use.freeze is None and use.trusted == 1:
        return None  # long ago
    return BudgetStatus(
        name=name,
        at=datetime.now(UTC),
        boot_ns=now.boot_ns,
        windows=use.windows,
        trusted=use.trusted,
        freeze=use.freeze,
        runs=shares,
    )


def _shares(
    ledger: Ledger, name: str, budget: Budget, now: Reading, runs: Sequence[RunEntry], terms: Terms
) -> list[RunShare]:
    run_of = {entry.permit: entry.run_id for entry in ledger.entries(name)}
    counted = [
        Counter(run_of.get(permit, "") for permit in budget.balance.counting(now, window))
        for window in terms.windows
    ]
    known = {run.run_id: run for run in runs}
    alive = {run.run_id: run.pending for run in budget.runs(now) if run.pending}
    names = sorted({*alive, *(run_id for count in counted for run_id in count)}, reverse=True)
    return [
        RunShare(
            run_id=run_id or NO_RUN,
            priority=known[run_id].turn.priority.value if run_id in known else None,
            counted=tuple(count[run_id] for count in counted),
            pending=alive.get(run_id, 0),
        )
        for run_id in names
    ]


def _when(status: BudgetStatus, at_ns: int | None) -> str:
    at = status.time_of(at_ns)
    if at is None:
        return "now"
    return f"{at.astimezone():%H:%M:%S} (in {duration((at - status.at).total_seconds())})"


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(IST).isoformat(timespec="milliseconds")
