"""How a run stands: what the display shows and the report repeats. Plain values."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from actors.market.chunk import Cause, Receipt, Status
from actors.monitor.memory import HostMemory
from actors.monitor.progress import Progress

#: So many dead letters are named in a report; the store knows them all.
NAMED_FAILURES = 20


@dataclass(slots=True)
class Totals:
    """What the receipts committed so far add up to."""

    statuses: Counter[Status] = field(default_factory=Counter)
    causes: Counter[Cause] = field(default_factory=Counter)
    rows: int = 0
    quarantined: int = 0
    failures: list[Receipt] = field(default_factory=list)  # the first few
    revised: int = 0  # candles that had been final and were changed
    #: Symbols whose history the provider has rewritten: new price to old, None if only bars came or went.
    rewritten: dict[str, float | None] = field(default_factory=dict)

    def add(self, receipt: Receipt) -> None:
        self.statuses[receipt.status] += 1
        self.rows += receipt.rows
        self.quarantined += receipt.quarantined
        self.revised += receipt.revised
        if receipt.outdates is not None:
            self.rewritten.setdefault(receipt.chunk.symbol, receipt.ratio)
        if receipt.cause is not None:
            self.causes[receipt.cause] += 1
        if receipt.status is Status.FAILED and len(self.failures) < NAMED_FAILURES:
            self.failures.append(receipt)


@dataclass(frozen=True, slots=True)
class WindowLeft:
    """One rate limit: how much of it is still free now."""

    limit: int
    span_s: float
    left: int


@dataclass(frozen=True, slots=True)
class Standing:
    """One look at a run."""

    planned: int
    done: int
    in_flight: int
    uncommitted: int
    failed: int
    rows: int  # committed
    elapsed_s: float
    eta_s: float | None  # from the budget; None while unknown
    progress: Progress = field(default_factory=Progress)
    windows: tuple[WindowLeft, ...] = ()
    hosts: tuple[HostMemory, ...] = ()
    notice: str | None = None  # paused, stopping: why
