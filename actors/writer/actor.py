from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass

import ray

from actors.market.candles import Delivery
from actors.market.chunk import Receipt
from actors.market.memory import MemorySample, sample
from actors.writer.buffer import Buffer, BufferRules
from actors.writer.store import StoreWriter

KEEP_WAIT_S = 30.0  # a fetcher is told "no room" after this, and tries again


@dataclass(frozen=True, slots=True)
class Committed:
    """Receipts that are in the store now, told by one incarnation of the writer."""

    writer: str
    receipts: tuple[Receipt, ...] = ()


class Writer:
    """Gathers deliveries and commits them in batches; the only one who writes to the store.

    `keep` and `commit` run in threads of their own: fetchers deliver while a batch is being
    committed. A restarted writer has lost what it had gathered, and a new incarnation tells so.
    """

    def __init__(self, store_uri: str, run_id: str, rules: BufferRules) -> None:
        self._incarnation = uuid.uuid4().hex
        self._store_uri = store_uri
        self._store: StoreWriter | None = None
        self._run_id = run_id
        self._buffer = Buffer(rules)
        self._committed: set[str] = set()  # chunks of this run
        self._changed = threading.Condition()
        self._hurried = False

    @ray.method(concurrency_group="keep")
    def keep(self, delivery: Delivery) -> str | None:
        """Take a delivery into the next batch, and say who has it. None: no room in `KEEP_WAIT_S`.

        A chunk whose receipt has been committed is not taken again: its delivery had been kept, but
        the answer got lost.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._buffer.has_room(delivery), KEEP_WAIT_S):
                return None
            if delivery.receipt.chunk.id not in self._committed:
                self._buffer.add(delivery, time.monotonic())
                self._changed.notify_all()
            return self._incarnation

    @ray.method(concurrency_group="commit")
    def commit(self, wait_s: float, known: str | None) -> Committed:
        """Commit the next batch when it is due; without receipts if nothing was, for `wait_s`.

        `known` is the incarnation the caller has heard last. To one that does not know this, the
        answer comes at once and tells of all that earlier ones have committed for this run.
        Raises StoreError, and WriterFenced if another writer has taken over the store.
        """
        if known != self._incarnation:
            earlier = self._opened().receipts_of(self._run_id)
            self._note(earlier)
            return Committed(self._incarnation, tuple(earlier))
        batch = self._next_batch(wait_s)
        if not batch:
            return Committed(self._incarnation)
        receipts = self._opened().commit(batch).receipts
        self._note(receipts)
        return Committed(self._incarnation, receipts)

    @ray.method(concurrency_group="health")
    def hurry(self) -> None:
        """From now on, let whatever has gathered be due at once."""
        with self._changed:
            self._hurried = True
            self._changed.notify_all()

    @ray.method(concurrency_group="commit")
    def tidy(self) -> None:
        """Merge small files where there are many."""
        self._opened().compact()

    @ray.method(concurrency_group="health")
    def memory(self) -> MemorySample:
        return sample()

    def _opened(self) -> StoreWriter:
        # Not in the constructor: Ray would answer a refusing store with restart after restart.
        # Only the one thread of the group "commit" comes here.
        self._store = self._store or StoreWriter(self._store_uri)
        return self._store

    def _note(self, receipts: tuple[Receipt, ...] | list[Receipt]) -> None:
        with self._changed:
            self._committed.update(receipt.chunk.id for receipt in receipts)

    def _next_batch(self, wait_s: float) -> list[Delivery]:
        until_s = time.monotonic() + wait_s
        with self._changed:
            while (due_s := self._seconds_to_due()) is None or due_s > 0:
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    return []
                self._changed.wait(left_s if due_s is None else min(left_s, due_s))
            batch = self._buffer.take()
            self._changed.notify_all()
            return batch

    def _seconds_to_due(self) -> float | None:
        due_s = self._buffer.due_s(time.monotonic())
        return 0.0 if self._hurried and due_s is not None else due_s
