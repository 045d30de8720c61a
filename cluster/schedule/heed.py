"""An occasion heeded: what is done for it, and what became of it written down."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from actors.market.clock import MACHINE, Clock
from actors.market.errors import CandlefleetError, ProviderRefusal, UsageError
from cluster.config import RunConfig
from cluster.config.schedule import JobSettings
from cluster.exit import Exit
from cluster.schedule.agenda import again_at
from cluster.schedule.locks import at_work
from cluster.schedule.record import Journal, Outcome, Record
from cluster.schedule.telling import tell
from cluster.schedule.work import Came, attempt

if TYPE_CHECKING:
    from rich.console import Console

_RECENT = 40  # records: two jobs over a holiday or more


def heed(
    job: JobSettings,
    config: RunConfig,
    occasion: datetime,
    console: Console,
    *,
    clock: Clock = MACHINE,
    address: str | None = None,
    is_retried: bool = False,
) -> Record:
    """Make one attempt, unless the occasion is over by now; one process of this machine at a time.

    Whoever is to be told of it is told; where it `is_retried`, of a failure only once its time is over.
    Raises UsageError if another does not come to its end; KeyboardInterrupt, or what nobody expected, once
    that is written down.
    """
    with at_work(config.store):
        journal = Journal(config.store)
        record = journal.read(job.name, occasion)
        if record is None:
            record = Record(job=job.name, occasion=occasion, outcome=Outcome.RUNNING)
        elif record.outcome.is_over:
            return record
        is_resumed = bool(record.attempts)
        screened = _screened(journal, job.name) if job.screens else None
        record, defect = record.begun(clock.now()), None
        journal.write(record)
        try:
            came = attempt(
                job,
                config,
                occasion,
                clock=clock,
                console=console,
                address=address,
                is_resumed=is_resumed,
                screened=screened,
            )
        except CandlefleetError as error:
            came = Came(_exit_of(error), str(error))
        except KeyboardInterrupt:
            journal.write(_ended(record, Came(Exit.INTERRUPTED, ""), clock.now()))
            raise
        except Exception as error:  # noqa: BLE001  # raised below, once it is written down and told
            came = Came(Exit.INCOMPLETE, f"{type(error).__name__}, a defect: see what it printed")
            defect = error
        record = _ended(record, came, clock.now())
        journal.write(record)
        if record.outcome.is_over or not (is_retried and again_at(job, record)):
            record = tell(config, record, clock.now(), console.print)
            journal.write(record)
        journal.prune(job.name)
    if defect is not None:
        raise defect
    return record


def _ended(record: Record, came: Came, now: datetime) -> Record:
    record = record.ended(
        now,
        _outcome(came),
        came.reason,
        code=came.exit,
        run_ids=[run.run_id for run in came.runs],
        requests=sum(run.requests for run in came.runs),
    )
    return replace(record, found=came.found, screened=came.screened)


def _screened(journal: Journal, job: str) -> int | None:
    """The version of the candles of which its screens were asked last, as far as that is remembered."""
    records = (each for each in journal.last(_RECENT) if each.job == job)
    return next((each.screened for each in records if each.screened is not None), None)


def _outcome(came: Came) -> Outcome:
    if came.exit is Exit.INTERRUPTED:
        return Outcome.INTERRUPTED
    if came.exit is not Exit.DONE:
        return Outcome.FAILED
    return Outcome.SKIPPED if came.skipped else Outcome.DONE


def _exit_of(error: CandlefleetError) -> Exit:
    """As the command line has it."""
    if isinstance(error, UsageError):
        return Exit.USAGE
    return Exit.REFUSED if isinstance(error, ProviderRefusal) else Exit.INCOMPLETE
