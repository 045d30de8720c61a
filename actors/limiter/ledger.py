"""What was spent, and who wants more, on disk: so that a limiter that dies, or a second one, knows it.

One row a permit, of any number of budgets; one row a run. Every write about a permit gets the next
`change` number of its budget, by which another process finds what is new to it. Writers exclude each
other; readers see whole writes.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from filelock import FileLock, Timeout

from actors.limiter.clock import Reading
from actors.limiter.schema import MIGRATIONS, text_of, windows_of
from actors.limiter.terms import Terms
from actors.limiter.turns import Priority, Turn
from actors.market.errors import UsageError
from actors.market.window import Window
from actors.upstox.token import ANONYMOUS

FILE_NAME = "budget.sqlite3"

#: How long a write waits for another process's. Theirs take well under a millisecond.
BUSY_S = 5.0

_SALT_BYTES = 32

_LOCKED = f"another process has kept it locked for {BUSY_S:g} s"

_UNUSABLE = "the budget ledger is unusable"
_DAMAGED = "it is damaged ({}). If no request was sent in the last half hour, delete it"


class State(StrEnum):
    GRANTED = "granted"
    GIVEN_UP = "given_up"  # nobody waits for it, yet it may still be on its way
    ENDED = "ended"
    REFUSED = "refused"  # ended too, by a 429
    WITHDRAWN = "withdrawn"  # never sent


@dataclass(frozen=True, slots=True)
class Entry:
    permit: int
    run_id: str
    state: State
    at: Reading  # when it came into that state
    granted_ns: int  # on the clock of `at.boot_ns`
    lifetime_ns: int  # from the grant
    change: int


@dataclass(frozen=True, slots=True)
class RunEntry:
    """A run that was granted permits, or waits for some."""

    run_id: str
    limiter: str  # the process that serves it
    windows: tuple[Window, ...]  # the account's, as the run knows them
    reserve: tuple[Window, ...]  # what the user's other programs send at the most
    turn: Turn
    wakes_at_ns: int  # on the clock of `seen`: it can make no use of a free slot before
    pending: int  # requests it has still to send
    seen: Reading  # when it last did anything


class Ledger:
    """The file. Raises UsageError, naming it, where it cannot be read or written."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        with self._explained():
            folder.mkdir(parents=True, exist_ok=True)
            self.path.touch()
            self.path.chmod(0o600)  # the salt is the user's alone
            # The limiter's methods come one at a time, but not always on the same thread.
            self._db = sqlite3.connect(
                self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
            )
            try:
                # Of several that open a new file at once, all but one would be told that it is busy.
                with FileLock(f"{self.path}.lock", timeout=BUSY_S):
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

    def name_of(self, terms: Terms) -> str:
        """What the budget of these terms is called here; the account by a salted hash.

        Nobody without this file can tell whose it is, even by trying names.
        """
        if terms.account == ANONYMOUS:
            return f"{terms.budget}/{ANONYMOUS}"
        with self._explained():
            (salt,) = self._db.execute("SELECT salt FROM secret").fetchone()
        label = hashlib.blake2b(terms.account.encode(), digest_size=6, key=bytes(salt)).hexdigest()
        return f"{terms.budget}/account-{label}"

    def budgets(self) -> list[str]:
        with self._explained():
            rows = self._db.execute("SELECT DISTINCT budget FROM runs ORDER BY budget").fetchall()
        return [budget for (budget,) in rows]

    # Permits

    def entries(self, budget: str, after_change: int = 0) -> list[Entry]:
        """What was written since, oldest first."""
        with self._explained():
            rows = self._db.execute(
                "SELECT permit, run_id, state, boot_id, boot_ns, wall_ns, granted_ns, lifetime_ns,"
                " change FROM permits"
                " WHERE budget = ? AND change > ? ORDER BY change",
                (budget, after_change),
            ).fetchall()
        return [
            Entry(
                permit=row[0],
                run_id=row[1],
                state=State(row[2]),
                at=Reading(*row[3:6]),
                granted_ns=row[6],
                lifetime_ns=row[7],
                change=row[8],
            )
            for row in rows
        ]

    def add(self, budget: str, run_id: str, at: Reading, lifetime_ns: int) -> int:
        """Book a new permit. Within `writing` only, like all that follow and write."""
        permit = self._db.execute(
            "INSERT INTO permits (budget, run_id, state, boot_id, boot_ns, wall_ns, granted_ns,"
            " lifetime_ns, change) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(budget, run_id, State.GRANTED, *_clocks(at), at.boot_ns, lifetime_ns),
                self._next_change(budget),
            ),
        ).lastrowid
        assert permit is not None
        return permit

    def amend(self, budget: str, permit: int, state: State, at: Reading) -> None:
        """Bring a permit into another state. One that was pruned comes back, its run forgotten."""
        self._db.execute(
            "INSERT INTO permits (permit, budget, run_id, state, boot_id, boot_ns, wall_ns,"
            " granted_ns, lifetime_ns, change) VALUES (?, ?, '', ?, ?, ?, ?, ?, 0, ?)"
            " ON CONFLICT (permit) DO UPDATE SET state = excluded.state, boot_id = excluded.boot_id,"
            " boot_ns = excluded.boot_ns, wall_ns = excluded.wall_ns, change = excluded.change",
            (permit, budget, state, *_clocks(at), at.boot_ns, self._next_change(budget)),
        )

    def move(self, budget: str, entry: Entry, at: Reading) -> None:
        """Put a permit's times on another boot's clock."""
        granted_ns = entry.granted_ns + at.boot_ns - entry.at.boot_ns
        self._db.execute(
            "UPDATE permits SET boot_id = ?, boot_ns = ?, wall_ns = ?, granted_ns = ?, change = ?"
            " WHERE permit = ?",
            (*_clocks(at), granted_ns, self._next_change(budget), entry.permit),
        )

    def prune(self, budget: str, before_boot_ns: int) -> None:
        """Forget permits and runs of before, on any boot's clock.

        The newest permit stays, so that change numbers go on where they were.
        """
        self._db.execute(
            "DELETE FROM permits WHERE budget = ? AND boot_ns < ? AND change < ?",
            (budget, before_boot_ns, self._next_change(budget) - 1),
        )
        self._db.execute(
            "DELETE FROM runs WHERE budget = ? AND boot_ns < ?", (budget, before_boot_ns)
        )

    # What refusals have taught

    def caution(self, budget: str) -> tuple[str, Reading] | None:
        """As `put_caution` has left it, and when that was."""
        with self._explained():
            row = self._db.execute(
                "SELECT caution, boot_id, boot_ns, wall_ns FROM cautions WHERE budget = ?",
                (budget,),
            ).fetchone()
        return None if row is None else (row[0], Reading(*row[1:]))

    def put_caution(self, budget: str, caution: str, at: Reading) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO cautions VALUES (?, ?, ?, ?, ?)",
            (budget, caution, *_clocks(at)),
        )

    # Runs

    def runs(self, budget: str) -> list[RunEntry]:
        with self._explained():
            rows = self._db.execute(
                "SELECT run_id, limiter, windows, reserve, priority, served, wakes_at_ns, pending,"
                " boot_id, boot_ns, wall_ns FROM runs WHERE budget = ?",
                (budget,),
            ).fetchall()
        return [
            RunEntry(
                run_id=run_id,
                limiter=limiter,
                windows=windows_of(windows),
                reserve=windows_of(reserve),
                turn=Turn(Priority(priority), served),
                wakes_at_ns=wakes_at_ns,
                pending=pending,
                seen=Reading(*seen),
            )
            for run_id, limiter, windows, reserve, priority, served, wakes_at_ns, pending, *seen in rows
        ]

    def put_run(self, budget: str, run: RunEntry) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO runs (budget, run_id, limiter, windows, reserve, priority, served,"
            " wakes_at_ns, pending, boot_id, boot_ns, wall_ns)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(budget, run.run_id, run.limiter, text_of(run.windows), text_of(run.reserve)),
                *(run.turn.priority, run.turn.served, run.wakes_at_ns, run.pending),
                *_clocks(run.seen),
            ),
        )

    # The file

    def _next_change(self, budget: str) -> int:
        (change,) = self._db.execute(
            "SELECT ifnull(max(change), 0) + 1 FROM permits WHERE budget = ?", (budget,)
        ).fetchone()
        return int(change)

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        if self._version() > len(MIGRATIONS):
            raise UsageError("was written by a newer candlefleet", str(self.path))
        (finding,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if finding != "ok":
            raise UsageError(f"{_UNUSABLE}: {_DAMAGED.format(finding)}", str(self.path))
        if self._version() < len(MIGRATIONS):
            with self.writing(durable=True):
                for statement in (s for step in MIGRATIONS[self._version() :] for s in step):
                    self._db.execute(statement)
                salt = secrets.token_bytes(_SALT_BYTES)
                self._db.execute("INSERT OR IGNORE INTO secret VALUES (1, ?)", (salt,))
                self._db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def _version(self) -> int:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        return int(version)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except Timeout:
            raise UsageError(f"{_UNUSABLE}: {_LOCKED}", str(self.path)) from None
        except (sqlite3.Error, OSError) as error:
            raise UsageError(f"{_UNUSABLE}: {_advice(error)}", str(self.path)) from error


def _clocks(at: Reading) -> tuple[str, int, int]:
    return at.boot_id, at.boot_ns, at.wall_ns


def _advice(error: sqlite3.Error | OSError) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest only refines it
    if code == sqlite3.SQLITE_BUSY:
        return _LOCKED
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return _DAMAGED.format(error)
    return str(error)
