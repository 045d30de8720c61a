from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from actors.market.errors import StoreError, UsageError
from actors.writer import fence, object_store
from actors.writer.folder import Folder
from actors.writer.opening import make_ready
from actors.writer.spool import abandoned, is_abandoned, place_of
from actors.writer.store import StoreWriter

#: Held by the run that writes to a store: in it, or for a bucket where this machine's answers for it
#: wait. The system releases it with the process, however that ends.
LOCK_NAME = ".writer.lock"

ORPHANS_END_WITHIN_S = 15.0


@contextmanager
def occupied(store: str, state_dir: Path) -> Iterator[None]:
    """Within, the store is there, in order, and this process's alone to write to.

    Raises UsageError at once if it cannot be. The lock on a bucket holds on this machine only: of runs
    on two machines, one is fenced off by the other's commits.
    """
    with _locked(store, state_dir):
        with _refusing():
            # Whatever keeps it from being written to is better known now than once requests were spent.
            if object_store.is_remote(store):
                fence.prove(store)
            make_ready(store)
        yield


def recover(store: str, state_dir: Path) -> int:
    """Bring what a run that was cut off had fetched into the store, so that no plan asks for it again.

    Returns how many answers that were. Raises UsageError if another run is writing to the store.
    """
    with _refusing():
        place = place_of(store, state_dir)
        if not is_abandoned(place):
            return 0
    # The lock is ours: a writer that is still there has lost its driver, and will end. Until then it
    # commits, so the store is not opened before.
    orphans = abandoned(place, ORPHANS_END_WITHIN_S)
    with _locked(store, state_dir), _refusing(), orphans as left:
        return sum(map(StoreWriter(store).recover, left))


@contextmanager
def _locked(store: str, state_dir: Path) -> Iterator[None]:
    object_store.reach(store)
    with _refusing():
        folder = Folder(store)
        folder.make()
        place = folder.local_path or place_of(store, state_dir)
    place.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place / LOCK_NAME, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        problem = "another run is writing to it; wait for its end, or choose another store"
        raise UsageError(problem, f"store {folder.uri}") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise UsageError(error.problem, f"store {error.store}") from error
