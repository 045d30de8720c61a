"""What became of the moments at which a job was due.

Kept in the store, one small file each, so that whoever looks at the store sees it, from any machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from actors.market.sessions import IST
from actors.writer.folder import Folder

ROOM = "schedule"  # of the store

_STAMP = "%Y%m%d-%H%M%S"  # in India: names sort by time
_STAMP_CHARS = 15

#: Of each job: more than a year's of a daily one. Whoever looks at the schedule lists them all.
KEPT = 400


class Outcome(StrEnum):
    ADDED = "added"  # no occasion: from this moment on the job's occasions count
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"  # nothing was to be had
    FAILED = "failed"
    INTERRUPTED = "interrupted"  # asked to stop; to be finished

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be done for it."""
        return self in (Outcome.ADDED, Outcome.DONE, Outcome.SKIPPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    began: AwareDatetime
    ended: AwareDatetime | None = None  # None: under way, or its process died
    exit: int | None = None
    run_ids: tuple[str, ...] = ()
    requests: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An occasion of a job."""

    job: str
    occasion: AwareDatetime
    outcome: Outcome
    missed: int = 0  # earlier occasions that nobody heeded, and that this one stands for
    reason: str = ""  # of the outcome, in words
    attempts: tuple[Attempt, ...] = ()
    found: dict[str, int] = field(default_factory=dict)  # matches, by screen
    screened: int | None = None  # the version of the candles of which the screens were asked
    told: tuple[str, ...] = ()  # ids of the events that were delivered

    @property
    def name(self) -> str:
        return f"{self.occasion.astimezone(IST):{_STAMP}}-{self.job}.json"

    @property
    def requests(self) -> int:
        return sum(attempt.requests for attempt in self.attempts)

    def begun(self, now: datetime) -> Record:
        """With one attempt more."""
        attempts = (*self.attempts, Attempt(began=now))
        return replace(self, outcome=Outcome.RUNNING, reason="", attempts=attempts)

    def ended(
        self,
        now: datetime,
        outcome: Outcome,
        reason: str,
        *,
        code: int | None,
        run_ids: Iterable[str] = (),
        requests: int = 0,
    ) -> Record:
        """With an end to its last attempt; `code` is the exit code, None where there is none."""
        last = self.attempts[-1] if self.attempts else Attempt(began=now)
        last = replace(last, ended=now, exit=code, run_ids=tuple(run_ids), requests=requests)
        return replace(self, outcome=outcome, reason=reason, attempts=(*self.attempts[:-1], last))


_RECORD = TypeAdapter(Record)


def as_dict(record: Record) -> dict[str, Any]:
    """In JSON's types."""
    content: dict[str, Any] = _RECORD.dump_python(record, mode="json")
    return content


class Journal:
    """All records of a store."""

    def __init__(self, store: str) -> None:
        self._folder = Folder(store).within(ROOM)

    def write(self, record: Record) -> None:
        """In place of an earlier one of the same occasion."""
        self._folder.write(record.name, _RECORD.dump_json(record, indent=1))

    def read(self, job: str, occasion: datetime) -> Record | None:
        return self._read(Record(job=job, occasion=occasion, outcome=Outcome.ADDED).name)

    def newest(self, now: datetime) -> dict[str, Record]:
        """Of every job that ever was, by its name.

        Those later than `now` do not count: a clock was ahead, and no job would be due until then.
        """
        found: dict[str, Record] = {}
        for name in reversed(self._folder.names()):
            if name[:_STAMP_CHARS] > f"{now.astimezone(IST):{_STAMP}}":
                continue
            if _job_of(name) not in found and (record := self._read(name)) is not None:
                found[record.job] = record
        return found

    def prune(self, job: str, kept: int = KEPT) -> None:
        """Delete all but the `kept` newest ones of a job."""
        mine = [name for name in self._folder.names() if _job_of(name) == job]
        for name in mine[:-kept]:
            self._folder.delete(name)

    def since(self) -> datetime | None:
        """The earliest occasion of all: from when on somebody has looked after the store."""
        for name in self._folder.names():
            if (record := self._read(name)) is not None:
                return record.occasion
        return None

    def last(self, most: int) -> list[Record]:
        """The newest `most` of all, newest first."""
        names = reversed(self._folder.names()[-most:])
        return [record for name in names if (record := self._read(name)) is not None]

    def _read(self, name: str) -> Record | None:
        """None for what is not there, or was not written by us."""
        content = self._folder.read(name)
        try:
            record = None if content is None else _RECORD.validate_json(content)
        except ValidationError:
            return None
        return record if record is not None and record.name == name else None


def _job_of(name: str) -> str:
    return name[_STAMP_CHARS + 1 :].removesuffix(".json")
