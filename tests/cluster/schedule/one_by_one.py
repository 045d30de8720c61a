"""Moments as they come, one after another: what is reckoned in one go is held against them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from cluster.config.schedule import JobSettings
from cluster.schedule.agenda import again_at
from cluster.schedule.record import Record
from cluster.schedule.when import When


def between(when: When, moment: datetime, until: datetime) -> Iterator[datetime]:
    """Those later than `moment`, up to `until`, in order."""
    while (moment := when.after(moment)) <= until:
        yield moment


def next_look(jobs: Iterable[JobSettings], newest: Mapping[str, Record], now: datetime) -> datetime:
    """When, after `now`, something will be due that is not yet. There must be a job."""
    moments = []
    for job in jobs:
        moments.append(job.when.after(now))
        again = again_at(job, newest[job.name]) if job.name in newest else None
        if again is not None and again > now:
            moments.append(again)
    return min(moments)
