from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from actors.market.errors import StoreError, UsageError
from actors.writer import fence, object_store, opening
from actors.writer.folder import Folder, absolute
from actors.writer.spool import abandoned, is_abandoned, place_of
from actors.writer.store import StoreWriter

#: Held by the run that writes to a store: in it, or for a bucket where this machine's answers for it
#: wait. The system releases it with the process, however that ends.
LOCK_NAME = ".writer.lock"

ORPHANS_END_WITHIN_S = 60.0  # even on a busy machine; whoever waits longer is told


def check(store: str) -> None:
    """Raise UsageError for what `locked` would refuse, whoever holds it. Nothing is left behind."""
    place = absolute(store)
    object_store.reach(place)
    with _refusing():
        opening.check(place)


@contextmanager
def locked(store: str, state_dir: Path) -> Iterator[None]:
    """Within, no other run of this machine plans for the store or writes to it; nor need it be there.

    Raises UsageError at once if one does, or no store can be there. The lock on a bucket holds on this
    machine only: of runs on two machines, one is fenced off by the other's commits.
    """
    check(store)
    place = Folder(store).local_path or place_of(store, state_dir)
    made = [each for each in (place, *place.parents) if not each.exists()]
    lock = FileLock(place / LOCK_NAME, timeout=0)
    try:
        place.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        problem = "another run is writing to it; wait for its end, or choose another store"
        raise UsageError(problem, f"store {absolute(store)}") from None
    except OSError as error:
        problem = f"cannot be written ({error.strerror})"
        raise UsageError(problem, f"store {absolute(store)}") from error
    try:
        yield
    finally:
        _leave_as_it_was(place, made)
        lock.release()


def make_ready(store: str) -> None:
    """Have the store there and in order. The lock on it is the caller's.

    Raises UsageError if it cannot be: that is better known now than once requests were spent.
    """
    with _refusing():
        if object_store.is_remote(store):
            fence.prove(store)
        opening.make_ready(store)


@contextmanager
def occupied(store: str, state_dir: Path) -> Iterator[None]:
    """Within, the store is there, in order, and this process's alone to write to."""
    with locked(store, state_dir):
        make_ready(store)
        yield


def recover(store: str, state_dir: Path) -> int:
    """Bring what a run that was cut off had fetched into the store, so that no plan asks for it again.

    Returns how many answers that were. The lock on the store is the caller's: a writer that is still
    there has lost its driver, and will end. Until then it commits, so the store is not opened before;
    and if it does not end, UsageError is raised, for a plan would miss what it keeps.
    """
    with _refusing():
        place = place_of(store, state_dir)
        if not is_abandoned(place):
            return 0
        with abandoned(place, ORPHANS_END_WITHIN_S) as left:
            return sum(map(StoreWriter(store).recover, left))


def _leave_as_it_was(place: Path, made: list[Path]) -> None:
    """Delete the folders that were `made` for the lock, unless there is something in them."""
    with suppress(OSError):
        if made and [each.name for each in place.iterdir()] == [LOCK_NAME]:
            (place / LOCK_NAME).unlink()
        for each in made:
            each.rmdir()


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise UsageError(error.problem, f"store {error.store}") from error
