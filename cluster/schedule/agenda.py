"""What is due. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cluster.config.schedule import JobSettings
from cluster.schedule.record import Outcome, Record

FIRST_RETRY_AFTER = timedelta(minutes=5)  # doubled each time
LAST_RETRY_AFTER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Due:
    """An occasion that is to be heeded now."""

    job: JobSettings
    occasion: datetime
    missed: int  # earlier ones, for which it stands too


def due(jobs: Iterable[JobSettings], newest: Mapping[str, Record], now: datetime) -> list[Due]:
    """In order of their occasions; those of one job are caught up once, by the latest.

    `newest` holds each job's latest record. A job without one is not due: nobody knows since when it is
    to be done. A record says `running` only if its process is known to be dead.
    """
    found = [
        each
        for job in jobs
        if (record := newest.get(job.name)) is not None
        and (each := _due(job, record, now)) is not None
    ]
    return sorted(found, key=lambda each: each.occasion)


def again_at(job: JobSettings, record: Record) -> datetime | None:
    """When to try it again, if at all: while its time lasts, and before the job is due anyway.

    The time counts from its first attempt, which may be late: a machine may have slept.
    """
    if record.outcome in (Outcome.RUNNING, Outcome.INTERRUPTED):
        return record.occasion
    if record.outcome is not Outcome.FAILED or not record.attempts:
        return None
    first, last = record.attempts[0], record.attempts[-1]
    doublings = min(len(record.attempts) - 1, 10)  # far beyond the longest wait
    wait = min(FIRST_RETRY_AFTER * 2**doublings, LAST_RETRY_AFTER)
    at = (last.ended or last.began) + wait
    lasts_until = max(record.occasion, first.began) + timedelta(seconds=job.retry_for_s)
    return at if at <= lasts_until and at < job.when.after(at - wait) else None


def occasion_now(job: JobSettings, newest: Record | None, now: datetime) -> datetime:
    """Of an attempt that is made by hand: what was begun and may still be finished, or a new one."""
    if newest is None or again_at(job, newest) is None:
        return now
    return newest.occasion


def _due(job: JobSettings, record: Record, now: datetime) -> Due | None:
    passed = job.when.passed(record.occasion, now)
    if passed is not None:
        occasion, count = passed
        return Due(job, occasion, count - 1)
    again = again_at(job, record)
    if again is not None and again <= now:
        return Due(job, record.occasion, record.missed)
    return None
