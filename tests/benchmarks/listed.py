"""Picks instruments of the look-alike's master, and fills the look-alike's memory with their bars."""

from __future__ import annotations

from datetime import date
from http.client import HTTPConnection
from urllib.parse import urlsplit

from cluster.lookalike.character import character_of
from cluster.lookalike.instruments import known_instruments
from cluster.lookalike.trading_days import epoch_day
from tests.benchmarks.job import Job

_STAMP_END = b"+05:30"  # once in every row


def shares(count: int, day: str) -> tuple[str, ...]:
    """The first so many shares of series EQ that were listed by that day."""
    by = epoch_day(date.fromisoformat(day))
    found = (
        key
        for key, record in known_instruments().items()
        if record["segment"] == "NSE_EQ"
        and record["instrument_type"] == "EQ"
        and character_of(0, record).first_day <= by
    )
    return tuple(key for key, _ in zip(found, range(count), strict=False))


def warm(job: Job) -> int:
    """Ask for all of it once. Returns how many rows there are."""
    connection = HTTPConnection(urlsplit(job.base_url).netloc, timeout=30)
    rows = 0
    for key in job.keys:
        connection.request("GET", job.url(key))
        rows += connection.getresponse().read().count(_STAMP_END)
    connection.close()
    return rows
