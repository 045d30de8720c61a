"""What was spent, on disk: so that a limiter that dies, or a second one, knows it.

One row a permit, of any number of budgets. Every write gets the next `change` number of its budget,
by which another process finds what is new to it. Writers exclude each other; readers see whole
writes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from actors.limiter.clock import Reading
from actors.market.errors import UsageError

FILE_NAME = "budget.sqlite3"

#: How long a write waits for another process's. Theirs take well under a millisecond.
BUSY_S = 5.0

_UNUSABLE = "the budget ledger is unusable"
_DAMAGED = "it is damaged ({}). If no request was sent in the last half hour, delete it"

_SCHEMA_VERSION = 1
_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS permits (
    permit INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice
    budget TEXT NOT NULL,
    run_id TEXT NOT NULL,
    state TEXT NOT NULL,
    boot_id TEXT NOT NULL,  -- these three: when it came into that state
    boot_ns INTEGER NOT NULL,
    wall_ns INTEGER NOT NULL,
    change INTEGER NOT NULL
)""",
    "CREATE UNIQUE INDEX IF NOT EXISTS permits_by_change ON permits (budget, change)",
)


class State(StrEnum):
    GRANTED = "granted"
    GIVEN_UP = "given_up"  # nobody waits for it, yet it may still be on its way
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Entry:
    permit: int
    run_id: str
    state: State
    at: Reading  # when it came into that state
    change: int


class Ledger:
    """The file. Raises UsageError, naming it, where it cannot be read or written."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        with self._explained():
            folder.mkdir(parents=True, exist_ok=True)
            # The limiter's methods come one at a time, but not always on the same thread.
            self._db = sqlite3.connect(
                self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[None]:
        """Write whole or not at all, no other process between.

        It survives the death of the process; if `durable`, with all before it, the computer's.
        """
        with self._explained():
            self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def entries(self, budget: str, after_change: int = 0) -> list[Entry]:
        """What was written since, oldest first."""
        with self._explained():
            rows = self._db.execute(
                "SELECT permit, run_id, state, boot_id, boot_ns, wall_ns, change FROM permits"
                " WHERE budget = ? AND change > ? ORDER BY change",
                (budget, after_change),
            ).fetchall()
        return [
            Entry(permit, run_id, State(state), Reading(*at), change)
            for permit, run_id, state, *at, change in rows
        ]

    def add(self, budget: str, run_id: str, state: State, at: Reading) -> Entry:
        """Book a new permit. Within `writing` only, like all that follow."""
        change = self._next_change(budget)
        permit = self._db.execute(
            "INSERT INTO permits (budget, run_id, state, boot_id, boot_ns, wall_ns, change)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (budget, run_id, state, at.boot_id, at.boot_ns, at.wall_ns, change),
        ).lastrowid
        assert permit is not None
        return Entry(permit, run_id, state, at, change)

    def amend(self, budget: str, permit: int, state: State, at: Reading) -> Entry:
        """Bring a permit into another state. One that was pruned comes back, its run forgotten."""
        change = self._next_change(budget)
        self._db.execute(
            "INSERT INTO permits (permit, budget, run_id, state, boot_id, boot_ns, wall_ns, change)"
            " VALUES (?, ?, '', ?, ?, ?, ?, ?) ON CONFLICT (permit) DO UPDATE SET"
            " state = excluded.state, boot_id = excluded.boot_id, boot_ns = excluded.boot_ns,"
            " wall_ns = excluded.wall_ns, change = excluded.change",
            (permit, budget, state, at.boot_id, at.boot_ns, at.wall_ns, change),
        )
        return Entry(permit, "", state, at, change)

    def prune(self, budget: str, before_boot_ns: int) -> None:
        """Forget what happened before, on any boot's clock.

        The newest entry stays, so that change numbers go on where they were.
        """
        self._db.execute(
            "DELETE FROM permits WHERE budget = ? AND boot_ns < ? AND change < ?",
            (budget, before_boot_ns, self._next_change(budget) - 1),
        )

    def _next_change(self, budget: str) -> int:
        (change,) = self._db.execute(
            "SELECT ifnull(max(change), 0) + 1 FROM permits WHERE budget = ?", (budget,)
        ).fetchone()
        return int(change)

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > _SCHEMA_VERSION:
            raise UsageError("was written by a newer candlefleet", str(self.path))
        (finding,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if finding != "ok":
            raise UsageError(f"{_UNUSABLE}: {_DAMAGED.format(finding)}", str(self.path))
        with self.writing(durable=True):
            for statement in _SCHEMA:
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise UsageError(f"{_UNUSABLE}: {_advice(error)}", str(self.path)) from error


def _advice(error: sqlite3.Error | OSError) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest only refines it
    if code == sqlite3.SQLITE_BUSY:
        return f"another process has kept it locked for {BUSY_S:g} s"
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return _DAMAGED.format(error)
    return str(error)
