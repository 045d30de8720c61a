from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import ray

from actors.market.candles import Delivery
from actors.market.chunk import Receipt
from actors.market.memory import MemorySample, sample
from actors.market.sessions import ist_date
from actors.writer.buffer import Buffer, BufferRules
from actors.writer.spool import Spool, abandoned

if TYPE_CHECKING:
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
    committed. What it has gathered is also in its spool: a new incarnation, or the next run, commits
    what a dead one had kept. Where its machine is lost too, a new incarnation tells by what is missing.
    """

    def __init__(self, store_uri: str, run_id: str, rules: BufferRules, spool_place: Path) -> None:
        self._incarnation = uuid.uuid4().hex
        self._store_uri = store_uri
        self._store: StoreWriter | None = None
        self._run_id = run_id
        self._buffer = Buffer(rules)
        self._committed: set[str] = set()  # chunks of this run
        self._under_way: set[str] = set()  # those of the batch being committed
        self._spool_place = spool_place
        self._spool: Spool | None = None
        self._changed = threading.Condition()
        self._hurried = False

    @ray.method(concurrency_group="keep")
    def keep(self, delivery: Delivery) -> str | None:
        """Take a delivery into the next batch, and say who has it. None: no room in `KEEP_WAIT_S`.

        It is in the spool from the beginning. A chunk whose receipt has been committed, or is about to
        be, is not taken again: its delivery had been kept, but the answer got lost. Raises StoreError
        if the spool cannot take it.
        """
        spool = self._spooling()
        spool.put(delivery)
        with self._changed:
            if not self._changed.wait_for(lambda: self._buffer.has_room(delivery), KEEP_WAIT_S):
                return None
            if delivery.receipt.chunk.id in self._committed:
                spool.drop([delivery])
            elif delivery.receipt.chunk.id not in self._under_way:
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
        self._spooling().drop(batch)
        return Committed(self._incarnation, receipts)

    @ray.method(concurrency_group="health")
    def hurry(self) -> None:
        """From now on, let whatever has gathered be due at once."""
        with self._changed:
            self._hurried = True
            self._changed.notify_all()

    @ray.method(concurrency_group="commit")
    def tidy(self) -> None:
        """Move rows where that pays for their readers. Nothing is kept any more after that."""
        self._spooling().close()
        self._opened().tidy(ist_date(datetime.now(UTC)))

    @ray.method(concurrency_group="health")
    def memory(self) -> MemorySample:
        return sample()

    def _opened(self) -> StoreWriter:
        # Not in the constructor: Ray would answer a refusing store with restart after restart.
        # Only the one thread of the group "commit" comes here.
        if self._store is None:
            # Nor need those who only look for a writer load the table engine.
            from actors.writer.store import StoreWriter

            with abandoned(self._spool_place) as left:
                store = StoreWriter(self._store_uri)
                for some in left:
                    store.recover(some)
            self._store = store
        return self._store

    def _spooling(self) -> Spool:
        with self._changed:
            self._spool = self._spool or Spool(self._spool_place)
            return self._spool

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
            taken = self._buffer.take()
            # The incarnation before may have kept one, too; recovered since, it is in the store.
            repeated = [each for each in taken if each.receipt.chunk.id in self._committed]
            batch = [each for each in taken if each.receipt.chunk.id not in self._committed]
            self._under_way = {each.receipt.chunk.id for each in batch}
            self._changed.notify_all()
        self._spooling().drop(repeated)
        return batch

    def _seconds_to_due(self) -> float | None:
        due_s = self._buffer.due_s(time.monotonic())
        return 0.0 if self._hurried and due_s is not None else due_s
