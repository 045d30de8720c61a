"""How a schedule stands: each job's next occasion, its last one, and whether somebody looks after it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rich.table import Table

from actors.market.sessions import IST
from cluster.config import RunConfig
from cluster.config.schedule import JobSettings
from cluster.exit import Exit
from cluster.schedule.agenda import again_at, due
from cluster.schedule.health import Health
from cluster.schedule.locks import daemon_of, is_at_work
from cluster.schedule.notice import troubles
from cluster.schedule.record import Journal, Outcome, Record
from cluster.schedule.telling import standing
from cluster.wording import printable

#: A daemon looks every half minute, and does one thing after the other.
OVERDUE_AFTER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class JobStanding:
    job: JobSettings
    next: datetime  # when it is due, or tried again
    last: Record | None  # None: it never was
    is_overdue: bool  # and nobody looks after it

    @property
    def is_well(self) -> bool:
        failed = self.last is not None and self.last.outcome is Outcome.FAILED
        return not (failed or self.is_overdue)

    def as_dict(self) -> dict[str, Any]:
        last = self.last
        return {
            "job": self.job.name,
            "when": str(self.job.when),
            "what": self.job.what,
            "next": _iso(self.next),
            "overdue": self.is_overdue,
            "last": last
            and {
                "occasion": _iso(last.occasion),
                "outcome": last.outcome,
                "reason": last.reason,
                "missed": last.missed,
                "attempts": len(last.attempts),
                "ended": _iso(last.attempts[-1].ended if last.attempts else None),
                "requests": last.requests,
                "runs": [run_id for attempt in last.attempts for run_id in attempt.run_ids],
                "found": last.found,
            },
        }


@dataclass(frozen=True, slots=True)
class Listing:
    store: str
    daemon: int | None  # its process, if one on this machine looks after the store
    jobs: tuple[JobStanding, ...]
    health: Health
    untellable: tuple[str, ...] = ()  # who could not be told of anything, and why

    @property
    def exit(self) -> Exit:
        is_well = all(job.is_well for job in self.jobs) and not self.health.is_stale
        return Exit.DONE if is_well else Exit.INCOMPLETE

    def as_dict(self) -> dict[str, Any]:
        return {
            "store": self.store,
            "daemon": self.daemon,
            "jobs": [job.as_dict() for job in self.jobs],
            **self.health.describe(),
            "untellable": [*self.untellable],
        }


def look(config: RunConfig, now: datetime) -> Listing:
    journal = Journal(config.store)
    newest, daemon = journal.newest(now), daemon_of(config.store)
    jobs = config.schedule.jobs
    # One that was never added was never due either.
    late = {each.job.name for each in due(jobs, newest, now - OVERDUE_AFTER)}
    late = set() if daemon is not None or is_at_work(config.store) else late
    return Listing(
        store=config.store,
        daemon=daemon,
        jobs=tuple(_standing(job, newest.get(job.name), now, late) for job in jobs),
        health=standing(config, journal, now),
        untellable=tuple(troubles(config.schedule.notify)),
    )


def lines(listing: Listing) -> list[str]:
    """Of the store and the token, for people."""
    warning = listing.health.token_warning
    told = [f"stale: {each}" if each.is_stale else str(each) for each in listing.health.freshness]
    told += [f"could not tell {each}" for each in listing.untellable]
    return [*told, *([] if warning is None else [warning])]


def table(listing: Listing) -> Table:
    shown = Table("job", "when", "next", "last", "outcome", title_justify="left")
    who = "nobody looks after it" if listing.daemon is None else f"process {listing.daemon}"
    shown.title = f"Schedule of {listing.store}, {who}"
    for job in listing.jobs:
        last, outcome = "", ""
        if job.last is not None and job.last.outcome is not Outcome.ADDED:
            last = _shown(job.last.occasion)
            outcome = ", ".join(filter(None, (job.last.outcome, job.last.reason)))
        outcome = "overdue; " + outcome if job.is_overdue else outcome
        cells = (job.job.name, str(job.job.when), _shown(job.next), last, printable(outcome))
        shown.add_row(*cells)
    return shown


def _standing(job: JobSettings, last: Record | None, now: datetime, late: set[str]) -> JobStanding:
    again = None if last is None else again_at(job, last)
    following = job.when.after(now)
    if again is not None and last is not None and last.outcome is Outcome.FAILED:
        following = max(again, now)
    return JobStanding(job, following, last, job.name in late)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(IST).isoformat(timespec="seconds")


def _shown(moment: datetime) -> str:
    return f"{moment.astimezone(IST):%a %d %b %H:%M}"
