"""Who is at a store's schedule just now. The system releases a lock with its process, however that ends.

For a bucket the locks are this machine's only, and lie where its answers for it wait.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from actors.market.errors import UsageError
from actors.writer.folder import Folder, absolute
from actors.writer.spool import place_of
from cluster import occupancy
from cluster.state import state_dir

#: An orphan whose daemon was killed notices that, and drains: its successor waits so long.
ORPHANS_END_WITHIN_S = 120.0

_LOOKED_AT_S = 0.5  # whoever only looks whether it is held holds it for a moment
_DAEMON = ".schedule.lock"
_DAEMON_PID = ".schedule.pid"
_WORK = ".schedule-work.lock"


@contextmanager
def only_daemon(store: str) -> Iterator[None]:
    """Within, no other daemon of this machine looks after the store. Raises UsageError if one does."""
    place = _made(store)
    lock = FileLock(place / _DAEMON, timeout=_LOOKED_AT_S)
    try:
        lock.acquire()
    except Timeout:
        pid = _read_pid(place)
        who = "another process" if pid is None else f"process {pid}"
        raise UsageError(f"{who} looks after it already", f"store {absolute(store)}") from None
    try:
        (place / _DAEMON_PID).write_text(str(os.getpid()))
        yield
    finally:
        lock.release()


@contextmanager
def at_work(store: str, within_s: float = ORPHANS_END_WITHIN_S) -> Iterator[None]:
    """Within, no other process of this machine heeds an occasion. Raises UsageError if one does not end."""
    lock = FileLock(_made(store) / _WORK, timeout=within_s)
    try:
        lock.acquire()
    except Timeout:
        problem = "another job of its schedule is under way; wait for its end"
        raise UsageError(problem, f"store {absolute(store)}") from None
    try:
        yield
    finally:
        lock.release()


def daemon_of(store: str) -> int | None:
    """The process that looks after the store, if one on this machine does."""
    place = _place(store)
    return _read_pid(place) if _is_held(place / _DAEMON) else None


def is_at_work(store: str) -> bool:
    return _is_held(_place(store) / _WORK)


def _place(store: str) -> Path:
    return Folder(store).local_path or place_of(absolute(store), state_dir())


def _made(store: str) -> Path:
    """Raises UsageError where no store can be."""
    occupancy.check(store)
    place = _place(store)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"cannot be written ({error.strerror})"
        raise UsageError(problem, f"store {absolute(store)}") from error
    return place


def _is_held(path: Path) -> bool:
    if not path.exists():
        return False
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return True
    except OSError as error:  # another user's
        raise UsageError(f"cannot be looked at ({error.strerror})", str(path)) from error
    lock.release()
    return False


def _read_pid(place: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int((place / _DAEMON_PID).read_text())
    return None
