"""What of a record somebody is to be told; and how the store and the token are, whenever one is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from actors.market.errors import CandlefleetError
from actors.market.sessions import IST, ist_date
from actors.upstox.token import TokenSource
from actors.writer.reading import Store
from cluster.config import RunConfig
from cluster.schedule import health, notice
from cluster.schedule.notice import Event
from cluster.schedule.record import Journal, Outcome, Record
from cluster.schedule.sessions import sessions
from cluster.wording import counted

_CALENDAR = timedelta(days=100)  # as far back as freshness looks, and some days
_RECENT = 20  # records in which it may stand that somebody was told of the same stale day


def tell(config: RunConfig, record: Record, now: datetime, say: Callable[[str], None]) -> Record:
    """Tell everybody of what is over, once each, and return the record with the marks of that.

    Raises nothing: whom nobody could reach, and a store that is out of reach, is said.
    """
    notify = config.schedule.notify
    if not notify:
        return record
    journal, told = Journal(config.store), list(record.told)
    token = TokenSource.find(config.provider.token_file)
    try:
        already = {mark for each in journal.last(_RECENT) for mark in each.told}
        found = [*events(record, config.store), *standing(config, journal, now).events()]
    except CandlefleetError as error:
        say(f"cannot see whom to tell of what: {error}")
        found, already = list(events(record, config.store)), set()
    for event in found:
        delivered = notice.tell(notify, event, already | set(told), token=token)
        # What still stands takes its marks along, or they would go out of sight.
        marks = (*(mark for mark in sorted(already) if mark.startswith(event.id)), *delivered.told)
        told += [mark for mark in marks if mark not in told]
        for trouble in delivered.failed:
            say(f"not told of {event.kind}: {trouble}")
    return replace(record, told=tuple(told))


def is_untold(config: RunConfig, record: Record) -> bool:
    """Whether somebody who wants to does not know of it yet: telling died, or they were out of reach."""
    wanted = {kind for listener in config.schedule.notify for kind in listener.events}
    found = events(record, config.store)
    return any(event.kind in wanted and event.id not in record.told for event in found)


def standing(config: RunConfig, journal: Journal, now: datetime) -> health.Health:
    """How the store and the token are."""
    calendar = sessions(Store(config.store), ist_date(now) - _CALENDAR, now)
    return health.look(config, calendar, now, journal.since())


def events(record: Record, store: str) -> Iterator[Event]:
    """Of a record that will not be tried again, as far as anybody knows."""
    at = f"{record.job} of {record.occasion.astimezone(IST):%a %d %b %H:%M}"
    if record.outcome is Outcome.FAILED:
        tries = counted(len(record.attempts), "attempt")
        yield Event(
            "failure",
            store,
            f"{at} failed after {tries}: {record.reason}",
            record.job,
            record.occasion,
            facts={
                "missed": record.missed,
                "exit": record.attempts[-1].exit if record.attempts else None,
                "runs": [run_id for each in record.attempts for run_id in each.run_ids],
            },
        )
    for screen, found in record.found.items():
        if found:
            said = f"{screen}: {counted(found, 'instrument')} found, after {at}"
            facts = {"screen": screen, "found": found}
            yield Event("matches", store, said, record.job, record.occasion, screen, facts)
