"""What a plan comes to, before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from actors.limiter.simulate import seconds_at_least
from cluster.display import duration

if TYPE_CHECKING:
    from cluster.scan import Prepared


def as_dict(prepared: Prepared) -> dict[str, Any]:
    """The object `plan --json` prints."""
    plan = prepared.plan
    return {
        "instruments": plan.instruments,
        "unresolved": [name.name for name in prepared.wants.unresolved],
        "chunks": len(plan.chunks),
        "requests": plan.requests,
        "seconds_at_least": round(_seconds(prepared), 3),
        "by_timeframe": {
            part.timeframe.label: {
                "instruments": part.instruments,
                "complete": part.complete,
                "requests": part.chunks,
                "first": part.first and part.first.isoformat(),
                "last": part.last and part.last.isoformat(),
            }
            for part in plan.by_timeframe
        },
        "notes": [str(note) for note in plan.notes],
    }


def table(prepared: Prepared) -> Table:
    """The same for people."""
    plan = prepared.plan
    shown = Table("timeframe", "instruments", "complete", "requests", "from", "to")
    for part in plan.by_timeframe:
        shown.add_row(
            part.timeframe.label,
            f"{part.instruments:,}",
            f"{part.complete:,}",
            f"{part.chunks:,}",
            str(part.first or ""),
            str(part.last or ""),
        )
    return shown


def remarks(prepared: Prepared) -> list[str]:
    """What the table cannot say: the sum, the time it takes, and what is left out."""
    plan = prepared.plan
    limits = ", ".join(map(str, prepared.provider.windows))
    least = duration(_seconds(prepared))
    return [
        f"{plan.instruments:,} instruments, {plan.requests:,} requests, at least {least} under {limits}.",
        *prepared.wants.notes,
        *map(str, plan.notes),
        *(f"unresolved: {name}" for name in prepared.wants.unresolved),
    ]


def _seconds(prepared: Prepared) -> float:
    return seconds_at_least(prepared.plan.requests, prepared.provider.windows)
