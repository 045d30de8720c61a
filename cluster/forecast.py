"""What a plan comes to, before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rich.table import Table

from actors.limiter.simulate import seconds_expected
from actors.limiter.use import BudgetUse
from actors.market.sessions import IST
from actors.market.window import NS_PER_S
from actors.writer.coverage import held
from cluster.display import duration
from cluster.plan import plan
from cluster.wording import counted

if TYPE_CHECKING:
    from cluster.scan import Prepared

#: From the command to its first request, Ray's start included: what a laptop of two cores takes.
STARTUP_S = 5.0

#: Resident memory of each process that is not shared, with its first requests sent and none answered.
#: Source: the processes of scans by 1, 2 and 4 fetchers of 8 and of 32 threads, measured side by side with
#: psutil, as the monitor does; 2026-11, Linux, Python 3.11, Ray 2.60. They differed by 1 MB.
DRIVER_MB = 99
LIMITER_MB = 60
MONITOR_MB = 75
WRITER_MB = 76
FETCHER_MB = 69


@dataclass(frozen=True, slots=True)
class Forecast:
    """How long a number of requests takes, with what the budget has left."""

    requests: int
    budget: BudgetUse
    at_least_s: float  # were each answered at once, and nobody else sending
    expected_s: float  # from now to the last answer

    def ends(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self.expected_s)

    def in_words(self, now: datetime) -> str:
        """`1,500 requests; 340 of 2,000 left in this 30m 00s; done at about 14:32:05 (in 12m 20s)`."""
        widest = max(self.budget.windows, key=lambda use: use.window.span_ns)
        span = duration(widest.window.span_s)
        left = f"{widest.left:,} of {widest.window.limit:,} left in this {span}"
        if not self.requests:
            return f"0 requests; {left}"
        ends = self.ends(now).astimezone()
        day = "" if ends.date() == now.astimezone().date() else f" on {ends:%a %d %b}"
        return (
            f"{counted(self.requests, 'request')}; {left}; "
            f"done at about {ends:%H:%M:%S}{day} (in {duration(self.expected_s)})"
        )


def foresee(requests: int, budget: BudgetUse, lanes: int) -> Forecast:
    """Play the requests through the budget as it was found. `lanes`: under way at once at the most."""
    # While the fleet starts, what is spent already becomes free again.
    starts_ns = max(budget.course.not_before_ns, round(STARTUP_S * NS_PER_S))
    course = replace(budget.course, lanes=lanes, not_before_ns=starts_ns)
    return Forecast(
        requests=requests,
        budget=budget,
        at_least_s=seconds_expected(
            requests, budget.limits, replace(budget.course, latency_ns=0, rivals=())
        ),
        expected_s=seconds_expected(requests, budget.limits, course),
    )


def of_plan(prepared: Prepared) -> Forecast:
    fleet = prepared.config.fleet
    return foresee(prepared.plan.requests, prepared.budget, fleet.fetchers * fleet.threads)


def at_start_mb(fetchers: int) -> int:
    """What the monitor will count of a fleet before its first answer, if all of it is on one host."""
    return DRIVER_MB + LIMITER_MB + MONITOR_MB + WRITER_MB + fetchers * FETCHER_MB


def tightness(limit_mb: int, fetchers: int) -> list[str]:
    """A note, if the fleet will be slowed for its memory before it has done anything."""
    held_mb = at_start_mb(fetchers)
    if held_mb <= limit_mb:
        return []
    fleet = f"a fleet of {counted(fetchers, 'fetcher')}"
    note = (
        f"memory.limit_mb is {limit_mb:,}, and {fleet} holds some {round(held_mb, -1):,} MB from its "
        "start where it is all on one host: there it will be slowed"
    )
    return [note]


def memory_notes(prepared: Prepared) -> list[str]:
    """None where there is nothing to fetch: no fleet is started for that."""
    config = prepared.config
    return tightness(config.memory.limit_mb, config.fleet.fetchers) if prepared.plan.chunks else []


def as_dict(prepared: Prepared, now: datetime) -> dict[str, Any]:
    """The object `plan --json` prints."""
    planned, forecast = prepared.plan, of_plan(prepared)
    return {
        "instruments": planned.instruments,
        "unresolved": [name.name for name in prepared.wants.unresolved],
        "chunks": len(planned.chunks),
        "requests": planned.requests,
        "seconds_at_least": round(forecast.at_least_s, 3),
        "seconds_expected": round(forecast.expected_s, 3),
        "ends": forecast.ends(now).astimezone(IST).isoformat(timespec="seconds"),
        "budget": [
            {"limit": u.window.limit, "seconds": u.window.span_s, "left": u.left}
            for u in forecast.budget.windows
        ],
        "by_timeframe": {
            part.timeframe.label: {
                "instruments": part.instruments,
                "complete": part.complete,
                "requests": part.chunks,
                "first": part.first and part.first.isoformat(),
                "last": part.last and part.last.isoformat(),
            }
            for part in planned.by_timeframe
        },
        "derived": _derived(prepared, now),
        "notes": [*map(str, planned.notes), *memory_notes(prepared)],
    }


def table(prepared: Prepared) -> Table:
    """The same for people."""
    shown = Table("timeframe", "instruments", "complete", "requests", "from", "to")
    for part in prepared.plan.by_timeframe:
        shown.add_row(
            part.timeframe.label,
            f"{part.instruments:,}",
            f"{part.complete:,}",
            f"{part.chunks:,}",
            str(part.first or ""),
            str(part.last or ""),
        )
    return shown


def remarks(prepared: Prepared, now: datetime) -> list[str]:
    """What the table cannot say: the sum, the time it takes, and what is left out."""
    planned, forecast = prepared.plan, of_plan(prepared)
    return [
        f"{counted(planned.instruments, 'instrument')}, {forecast.in_words(now)}.",
        *_deriving(prepared, now),
        *prepared.wants.notes,
        *map(str, planned.notes),
        *memory_notes(prepared),
        *(f"unresolved: {name}" for name in prepared.wants.unresolved),
    ]


def _derived(prepared: Prepared, now: datetime) -> dict[str, Any] | None:
    """What is computed instead of asked for, and how many requests that saves; it may cost some."""
    wants = prepared.wants
    if not wants.derived:
        return None
    known = held(prepared.store.receipts(), stale_too=prepared.config.on_revision == "warn")
    asked = plan(wants.written, known, now, today=prepared.config.today)
    return {
        "timeframes": list(dict.fromkeys(want.timeframe.label for want in wants.derived)),
        "requests_saved": asked.requests - prepared.plan.requests,
    }


def _deriving(prepared: Prepared, now: datetime) -> list[str]:
    """The same in words."""
    derived = _derived(prepared, now)
    if derived is None:
        return []
    saved = derived["requests_saved"]
    spared = counted(abs(saved), "request") + (" saved" if saved >= 0 else " more than asking")
    return [f"{', '.join(derived['timeframes'])} from 1-minute bars: {spared}."]
