"""One look at the agenda, and what is due done; what a dead process has left is put down as failed."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from actors.market.clock import MACHINE, Clock
from actors.market.sessions import IST
from cluster.config import RunConfig
from cluster.exit import Exit
from cluster.schedule.agenda import Due, again_at, due
from cluster.schedule.record import Journal, Outcome, Record
from cluster.schedule.telling import is_untold, tell

#: Heeds an occasion, and returns the exit code of who did.
Perform = Callable[[Due], int]

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Keeper:
    """Looks after a store. Whoever has one holds the daemon's lock, and nobody is at work just now."""

    config: RunConfig
    perform: Perform
    say: Say
    clock: Clock = MACHINE

    def look(self) -> Record | None:
        """Do the first thing that is due, if any is, and return what became of it."""
        journal, jobs = Journal(self.config.store), self.config.schedule.jobs
        newest = self._with_new_ones(journal)
        if not (found := due(jobs, newest, self.clock.now())):
            return None
        first = found[0]
        begun = self._begin(journal, first, newest[first.job.name])
        code = self.perform(first)
        return self._settled(journal, first, begun, code)

    def tell_again(self) -> None:
        """Tell of each job's latest occasion whom nobody has reached so far."""
        journal, now = Journal(self.config.store), self.clock.now()
        newest = journal.newest(now)
        for job in self.config.schedule.jobs:
            record = newest.get(job.name)
            if record is None or again_at(job, record) is not None:
                continue
            if is_untold(self.config, record):
                journal.write(tell(self.config, record, now, self.say))

    def _with_new_ones(self, journal: Journal) -> Mapping[str, Record]:
        now = self.clock.now().replace(microsecond=0)
        newest = journal.newest(now)
        for job in self.config.schedule.jobs:
            if job.name not in newest:
                added = Record(job=job.name, occasion=now, outcome=Outcome.ADDED)
                journal.write(added)
                newest[job.name] = added
                self.say(f"{job.name}: from now on, {job.when}")
        return newest

    def _begin(self, journal: Journal, first: Due, newest: Record) -> Record:
        said = said_of(first)
        if newest.occasion == first.occasion:
            self.say(f"{said}: attempt {len(newest.attempts) + 1}")
            # Of a process that leaves no word it must not be said that it failed long ago.
            begun = replace(newest, outcome=Outcome.RUNNING, reason="")
            journal.write(begun)
            return begun
        if newest.outcome is Outcome.RUNNING:  # or it would say so for ever
            reason = "its process died; a later one stands for it"
            journal.write(replace(newest, outcome=Outcome.INTERRUPTED, reason=reason))
        missed = f", for {first.missed} missed before it too" if first.missed else ""
        self.say(f"{said}: due{missed}")
        begun = Record(
            job=first.job.name,
            occasion=first.occasion,
            outcome=Outcome.RUNNING,
            missed=first.missed,
        )
        journal.write(begun)
        return begun

    def _settled(self, journal: Journal, done: Due, begun: Record, code: int) -> Record:
        """The record that whoever performed has left; or if they did not come to that, one in their place."""
        # Somebody may have deleted it, and the store with it, meanwhile.
        record = journal.read(done.job.name, done.occasion) or begun
        if record.outcome is Outcome.RUNNING:
            if len(record.attempts) == len(begun.attempts):  # it died before it began
                record = record.begun(self.clock.now())
            is_stopped = code in (Exit.INTERRUPTED, -signal.SIGTERM)
            outcome = Outcome.INTERRUPTED if is_stopped else Outcome.FAILED
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            reason = f"its process ended with {how}"
            record = record.ended(self.clock.now(), outcome, reason, code=code)
            journal.write(record)
            if again_at(done.job, record) is None:
                record = tell(self.config, record, self.clock.now(), self.say)
                journal.write(record)
        self.say(f"{said_of(done)}: {', '.join(filter(None, (record.outcome, record.reason)))}")
        return record


def said_of(each: Due) -> str:
    return f"{each.job.name} of {each.occasion.astimezone(IST):%a %d %b %H:%M}"
