from __future__ import annotations

import threading
import time

import ray

from actors.market.candles import Delivery
from actors.market.chunk import Receipt
from actors.market.memory import MemorySample, sample
from actors.writer.buffer import Buffer, BufferRules
from actors.writer.store import Commit, StoreWriter

KEEP_WAIT_S = 30.0  # a fetcher is told "no room" after this, and tries again


class Writer:
    """Gathers deliveries and commits them in batches; the only one who writes to the store.

    `keep` and `commit` run in threads of their own: fetchers deliver while a batch is being committed.
    """

    def __init__(self, store_uri: str, run_id: str, rules: BufferRules) -> None:
        self._store_uri = store_uri
        self._store: StoreWriter | None = None
        self._run_id = run_id
        self._buffer = Buffer(rules)
        self._changed = threading.Condition()
        self._closing = False

    @ray.method(concurrency_group="keep")
    def keep(self, delivery: Delivery) -> bool:
        """Take a delivery into the next batch. False: no room came free in `KEEP_WAIT_S`."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._buffer.has_room(delivery), KEEP_WAIT_S):
                return False
            self._buffer.add(delivery, time.monotonic())
            self._changed.notify_all()
            return True

    @ray.method(concurrency_group="commit")
    def commit(self, wait_s: float) -> Commit | None:
        """Commit the next batch when it is due; None if nothing was, for `wait_s`.

        Raises StoreError, and WriterFenced if another writer has taken over the store.
        """
        until_s = time.monotonic() + wait_s
        with self._changed:
            while (due_s := self._seconds_to_due()) is None or due_s > 0:
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    return None
                self._changed.wait(left_s if due_s is None else min(left_s, due_s))
            batch = self._buffer.take()
            self._changed.notify_all()
        return self._opened().commit(batch)

    @ray.method(concurrency_group="health")
    def hurry(self) -> None:
        """Let what has gathered be due at once, and whatever still comes."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    @ray.method(concurrency_group="commit")
    def receipts(self) -> list[Receipt]:
        """All receipts of this run that have been committed."""
        return self._opened().receipts_of(self._run_id)

    @ray.method(concurrency_group="commit")
    def tidy(self) -> int:
        """Compact the partitions this run touched, where it pays; the candles version afterwards."""
        return self._opened().compact()

    @ray.method(concurrency_group="health")
    def memory(self) -> MemorySample:
        return sample()

    def _opened(self) -> StoreWriter:
        # Not in the constructor: Ray would answer a refusing store with restart after restart.
        # Only the one thread of the group "commit" comes here.
        self._store = self._store or StoreWriter(self._store_uri)
        return self._store

    def _seconds_to_due(self) -> float | None:
        due_s = self._buffer.due_s(time.monotonic())
        return 0.0 if self._closing and due_s is not None else due_s
