from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from actors.market.candles import CANDLES
from actors.market.chunk import Cause, Chunk, Receipt, Status
from actors.market.errors import StoreError, WriterFenced
from actors.market.timeframe import Timeframe
from actors.writer import care, object_store, opening, tables
from actors.writer.batch import check, denies, has_rows, layers, replaced_days, since, unanswered
from actors.writer.coverage import noted
from actors.writer.difference import STANDING, Difference, Standing, compare, rows_of
from actors.writer.doubt import cautious
from actors.writer.folder import Folder, absolute
from actors.writer.occupied import Occupied
from actors.writer.ordering import merge
from actors.writer.predicate import Days, quoted, selecting, within
from actors.writer.receipts import RECEIPTS, SPAN, as_receipts, receipts_table

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from datetime import date

    from deltalake import DeltaTable

    from actors.market.candles import Delivery

_AT_ONCE = 512  # deliveries in one commit, so that a condition that names each stays bounded
_OPENINGS = 3

#: Commits. One costs 8 ms with few files of receipts, 60 ms with 900; and a table holds on to 100 KB of
#: each, opened anew to a third (measured 2026-11-23 and 24, 2 cores, deltalake 1.6.6).
_REFRESH_EVERY = 100


@dataclass(frozen=True, slots=True)
class Commit:
    """What has been made lasting. The receipts are as stored, which may not be as delivered."""

    receipts: tuple[Receipt, ...]
    candles_version: int
    rows: int


class StoreWriter:
    """Writes deliveries to a store, so that in every version each candle stands at most once.

    Opening it creates the store where there is none, and finishes what a crash left half done. Once
    a method has raised, the writer is spent; open another. For one thread.
    """

    def __init__(self, uri: str, *, storage_options: dict[str, str] | None = None) -> None:
        self.uri = absolute(uri)
        self._options = storage_options or object_store.options(self.uri)
        self._spent = False
        opening.claim(self.uri)
        self._open()
        self._number = tables.number(self._candles)
        self._occupied = self._where_rows_stand()

    @property
    def candles_version(self) -> int:
        return int(self._candles.version())

    def commit(self, deliveries: Sequence[Delivery]) -> Commit:
        """Make rows and receipts of the batch lasting. Where deliveries overlap, the last one wins.

        Rows replace what stood on their chunk's days. What is as it stands stays where it is, and the
        receipt says how much of the rest had been final (`revised`). What an answer lacks goes only if
        one of an earlier day lacked it too, or if it was never final and the day's other bars came:
        until then it is kept, and the receipt says failed, cause `vanished`. What was computed and came
        out empty removes nothing.
        """
        for delivery in deliveries:
            check(delivery)
        receipts: dict[int, Receipt] = {}
        bare: list[Receipt] = []  # of which no row stands
        kept: list[Receipt] = []  # of rows that stand already
        with self._spent_if_it_fails():
            self._look_for_others()
            self._put_aside(deliveries)
            for depth, layer in enumerate(layers(deliveries, self._occupied)):
                receipts |= self._put_layer(layer, bare, kept, replaces=depth > 0)
            self._finish(bare, kept)
        in_order = tuple(receipts[id(delivery)] for delivery in deliveries)
        rows = sum(d.candles.num_rows for d in deliveries if d.candles is not None)
        return Commit(in_order, self.candles_version, rows)

    def receipts_of(self, run_id: str) -> list[Receipt]:
        """The receipts of this run that have been committed, by this writer or an earlier one."""
        with self._spent_if_it_fails():
            mine = tables.scan(self._chunks, RECEIPTS, f"run_id = {quoted(run_id)}")
            return as_receipts(mine.read_all())

    def recover(self, left: Sequence[Delivery]) -> int:
        """Commit of what writers that are no more have left, oldest first, what the store does not hold.

        An answer is passed over if its receipt is in the store already, and on the days that something
        newer has answered since. Returns how many were committed.
        """
        with self._spent_if_it_fails():
            told = self._told_of({answer.receipt.chunk.instrument_key for answer in left})
        late = unanswered(left, told)
        if late:
            self.commit(late)
        return len(late)

    def tidy(self, today: date) -> int:
        """Move rows as far as it pays at the end of a run. The candles version afterwards."""
        return self.tend(care.ordering(self.uri, partial(care.paying, today=today)))

    def tend(self, steps: Callable[[DeltaTable, DeltaTable], Iterable[object]]) -> int:
        """Take steps that move rows and change none. The candles version afterwards."""
        with self._spent_if_it_fails():
            self._still_ours()
            for _ in steps(self._candles, self._chunks):
                self._still_ours()
        return self.candles_version

    def _tables(self) -> tuple[DeltaTable, DeltaTable]:
        candles = opening.table(self.uri, "candles", self._options)
        chunks = opening.table(self.uri, "chunks", self._options)
        self._opened = chunks.version()
        return candles, chunks

    def _open(self) -> None:
        """Open both tables and finish what is unfinished. Another writer may be doing the same."""
        for attempt in range(1, _OPENINGS + 1):
            try:
                with tables.in_words(self.uri):
                    self._candles, chunks = self._tables()
                    self._chunks = tables.with_columns(chunks, RECEIPTS)
                    self._finish()
            except WriterFenced:
                if attempt == _OPENINGS:
                    raise
            else:
                return

    def _where_rows_stand(self) -> Occupied:
        occupied = Occupied()
        schema = pa.schema([RECEIPTS.field(name) for name in SPAN])
        with tables.in_words(self.uri):
            stored = tables.scan(self._chunks, schema, "rows > 0").read_all()
        for key, label, first, last in zip(
            *(stored[name].to_pylist() for name in SPAN), strict=True
        ):
            occupied.add(Chunk(key, "", Timeframe.parse(label), first, last))
        return occupied

    def _told_of(self, instrument_keys: Collection[str]) -> list[Receipt]:
        """Every receipt of these instruments, and those of unfinished commits."""
        if not instrument_keys:
            return []
        mine = tables.scan(self._chunks, RECEIPTS, selecting(instrument_keys=instrument_keys))
        late = tables.unfinished(self._candles, self._chunks, self.uri)
        return as_receipts(pa.concat_tables([mine.read_all(), *(one.receipts for one in late)]))

    def _put_aside(self, deliveries: Sequence[Delivery]) -> None:
        """Write quarantined rows, one file for each chunk of each run: a repeat takes its place."""
        folder = Folder(f"{self.uri}/quarantine")
        for delivery in deliveries:
            if delivery.quarantine is None or delivery.quarantine.num_rows == 0:
                continue
            receipt = delivery.receipt
            name = hashlib.sha256(f"{receipt.chunk.id}\n{receipt.run_id}".encode()).hexdigest()[:32]
            file = pa.BufferOutputStream()
            pq.write_table(delivery.quarantine, file, compression="zstd")
            folder.write(f"{name}.parquet", file.getvalue().to_pybytes())

    def _standing(self, delivery: Delivery) -> Receipt:
        """The receipt as it will stand: bars computed from nothing, where some stand, are a failure."""
        receipt, chunk = delivery.receipt, delivery.receipt.chunk
        is_computed = receipt.status is Status.EMPTY and not receipt.attempts
        if not is_computed or not self._occupied.overlaps(chunk):
            return receipt
        days = within([Days(chunk.instrument_key, chunk.timeframe, chunk.first, chunk.last)])
        if not receipt.final:
            days = f"({days}) AND final"  # of an unsettled day, the rest is not in history yet
        schema = pa.schema([RECEIPTS.field("instrument_key")])
        kept = sum(batch.num_rows for batch in tables.scan(self._candles, schema, days))
        if kept == 0:
            return receipt
        error = f"there is nothing to compute {kept} candles from that stand in the store; they were kept"
        return replace(receipt, status=Status.FAILED, cause=Cause.VANISHED, error=error)

    def _put_layer(
        self, layer: list[Delivery], bare: list[Receipt], kept: list[Receipt], *, replaces: bool
    ) -> dict[int, Receipt]:
        """Commit its rows. The receipts by the deliveries' ids; those of no commit go to `bare` or `kept`."""
        receipts: dict[int, Receipt] = {}
        telling: list[Delivery] = []
        for one in layer:  # held against what stood before the layer's rows
            if has_rows(one) or (replaces and denies(one)):
                telling.append(one)
            else:
                receipts[id(one)] = self._standing(one)
        bare += receipts.values()
        for start in range(0, len(telling), _AT_ONCE):
            some = telling[start : start + _AT_ONCE]
            told = self._replace(some, bare, kept) if replaces else self._append(some)
            receipts |= zip(map(id, some), told, strict=True)
        return receipts

    def _append(self, deliveries: list[Delivery]) -> list[Receipt]:
        self._put(deliveries, None)
        return [delivery.receipt for delivery in deliveries]

    def _replace(
        self, deliveries: list[Delivery], bare: list[Receipt], kept: list[Receipt]
    ) -> list[Receipt]:
        """Write what differs from what stands. Receipts of which nothing does go to `bare` or `kept`."""
        days = [replaced_days(delivery) for delivery in deliveries]
        standing = Standing(tables.scan(self._candles, STANDING, within(days)).read_all())
        deliveries = cautious(deliveries, map(standing.of, days), self._told_of)
        differences = [
            compare(standing.of(asked), rows_of(delivery.candles))
            for delivery, asked in zip(deliveries, days, strict=True)
        ]
        receipts = self._noted([delivery.receipt for delivery in deliveries], differences)
        news: list[Delivery] = []
        changed: list[Days] = []
        for delivery, asked, receipt, found in zip(
            deliveries, days, receipts, differences, strict=True
        ):
            if found.first is None:
                (kept if has_rows(delivery) else bare).append(receipt)
            else:
                news.append(since(found.first, replace(delivery, receipt=receipt)))
                changed.append(asked._replace(first=found.first))
        if news:
            self._put(news, None if all(d.appends for d in differences) else within(changed))
        return receipts

    def _noted(self, receipts: list[Receipt], differences: list[Difference]) -> list[Receipt]:
        """The receipts, each with what its answer says of earlier ones."""
        pairs = list(zip(receipts, differences, strict=True))
        earlier = self._told_of(
            {r.chunk.instrument_key for r, found in pairs if found.reaches_back}
        )
        return [noted(receipt, found, earlier) for receipt, found in pairs]

    def _put(self, deliveries: list[Delivery], condition: str | None) -> None:
        """Commit these rows at once; their receipts stay unfinished."""
        self._still_ours()
        # Each delivery ascends by itself and they share no day, so their order is the rows' order.
        ordered = sorted(
            deliveries, key=lambda d: (d.receipt.chunk.instrument_key, d.receipt.chunk.first)
        )
        full = [each.candles for each in ordered if each.candles is not None]
        rows = pa.concat_tables([CANDLES.empty_table(), *full])
        tables.put_candles(self._candles, rows, [d.receipt for d in deliveries], condition)
        self._number += 1
        for delivery in deliveries:
            self._occupied.add(delivery.receipt.chunk)

    def _finish(self, bare: Sequence[Receipt] = (), kept: Sequence[Receipt] = ()) -> None:
        """Commit the receipts of every unfinished commit of candles, and these.

        `bare` are those without rows, `kept` those whose rows stand already.
        """
        pending = tables.unfinished(self._candles, self._chunks, self.uri)
        late = [receipts_table(bare), receipts_table(kept, self.candles_version)]
        rows = pa.concat_tables([*(commit.receipts for commit in pending), *late])
        if rows.num_rows:
            tables.put_receipts(self._chunks, rows, tables.number(self._candles))
            if self._chunks.version() % _REFRESH_EVERY == 0:
                list(merge(self._chunks, Folder(f"{self.uri}/chunks")))

    def _look_for_others(self) -> None:
        """Raise WriterFenced if another has committed receipts; those of rows clash by themselves."""
        ours = self._chunks.version()
        if ours < self._opened + _REFRESH_EVERY:
            self._chunks.update_incremental()
        else:
            self._candles, self._chunks = self._tables()
        if not tables.only_moved(self._chunks, ours):
            raise tables.fenced(self.uri)
        self._still_ours()

    def _still_ours(self) -> None:
        """Raise WriterFenced if a table has shown us another's commits, as merging files may."""
        if not tables.number(self._chunks) <= self._number == tables.number(self._candles):
            raise tables.fenced(self.uri)

    @contextmanager
    def _spent_if_it_fails(self) -> Iterator[None]:
        if self._spent:
            raise StoreError("this writer failed before and must be opened anew", self.uri)
        self._spent = True
        with tables.in_words(self.uri):
            yield
        self._spent = False
