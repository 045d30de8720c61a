"""The two Delta tables of a store, and what ties their commits together.

A commit of candles carries in its metadata the receipts it earns and a number, one higher than the
last. A commit of receipts records up to which number the receipts are in. What lies between is
unfinished: a crash may leave it so, and whoever comes next can finish it from the log alone.
"""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import (
    CommitProperties,
    DeltaTable,
    Schema,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import RemoveAction

from actors.market.candles import CANDLES
from actors.market.errors import StoreError, WriterFenced
from actors.writer import object_store
from actors.writer.damage import damage
from actors.writer.receipts import RECEIPTS, carried, from_carried

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deltalake.transaction import AddAction

    from actors.market.chunk import Receipt
    from actors.writer.data_files import DataFile

APP = "candlefleet"  # whose numbers they are, in both tables
_NUMBER = "candlefleet.number"
_RECEIPTS = "candlefleet.receipts"
_MOVED = "candlefleet.moved"
MOVED = {_MOVED: True}  # in the metadata of a commit that changes no row

#: Half a million rows or so. A day's update rewrites the files it touches: 500 symbols' current month
#: of 1-minute bars, 3 M rows in batches of 40 chunks, took 2 s with files of 4 MiB, 10 s with merged
#: ones of 8 MiB and 12 s with one of 45 MiB (measured 2026-11-23, 2 cores). Larger ones for periods
#: that are over would gain readers nothing: of 16 MiB, a share's ten years took as long, and all
#: shares' 630 ms where 4 MiB take 330.
FILE_BYTES = 4 * 2**20

#: A row group is the least a reader can read: four months of one symbol's 1-minute bars.
ROW_GROUP_ROWS = 32_768
_WRITING = WriterProperties(
    compression="ZSTD",
    compression_level=1,
    max_row_group_size=ROW_GROUP_ROWS,
    write_batch_size=ROW_GROUP_ROWS,
)

MANY = 8  # files or row groups; below that, moving their rows costs more than reading them

_TRIES = 5  # of a commit that is overtaken by others which only move rows

_COMMON = {
    # Clean-up could take the metadata of a commit whose receipts have long waited to be finished.
    "delta.enableExpiredLogCleanup": "false",
    "delta.targetFileSize": str(FILE_BYTES),
}
_CANDLES = _COMMON | {"delta.dataSkippingStatsColumns": "instrument_key,date,ts"}
_CHUNKS = _COMMON | {"delta.dataSkippingStatsColumns": "instrument_key,status,run_id"}


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A commit of candles whose receipts are not in the other table yet."""

    number: int
    receipts: pa.Table


@contextmanager
def in_words(store: str) -> Iterator[None]:
    """Raise what goes wrong with a table as StoreError, and a lost race as WriterFenced."""
    try:
        yield
    except CommitFailedError as error:
        raise fenced(store) from error
    except (DeltaError, OSError, pa.ArrowException) as error:
        raise StoreError(_first_words(str(error)), store) from error


def fenced(store: str) -> WriterFenced:
    return WriterFenced("another writer has committed to it since this one opened it", store)


def open_table(place: str, options: dict[str, str] | None) -> DeltaTable | None:
    """The table's newest version; None where there is none."""
    try:
        if not DeltaTable.is_deltatable(place, options):
            return None
        return DeltaTable(place, storage_options=options)
    except TableNotFoundError:
        return None


def create_candles(place: str, options: dict[str, str] | None) -> DeltaTable:
    partitions = ["timeframe", "period"]
    return DeltaTable.create(
        place, CANDLES, partition_by=partitions, configuration=_CANDLES, storage_options=options
    )


def with_columns(table: DeltaTable, schema: pa.Schema) -> DeltaTable:
    """The table, with the columns that one of an earlier version does not have."""
    there = {field.name for field in table.schema().fields}
    missing = pa.schema([field for field in schema if field.name not in there])
    if len(missing):
        table.alter.add_columns(Schema.from_arrow(missing).fields)
    return table


def create_chunks(place: str, options: dict[str, str] | None) -> DeltaTable:
    return DeltaTable.create(place, RECEIPTS, configuration=_CHUNKS, storage_options=options)


def number(table: DeltaTable | None) -> int:
    """Of candles: the newest commit's. Of chunks: up to which the receipts are in."""
    return 0 if table is None else table.transaction_version(APP) or 0


def put_candles(
    candles: DeltaTable, rows: pa.Table, receipts: Sequence[Receipt], replacing: str | None
) -> None:
    """In one commit, append the rows or put them in the place of those that `replacing` selects."""
    following = number(candles) + 1
    properties = CommitProperties(
        custom_metadata={_NUMBER: following, _RECEIPTS: carried(receipts)},
        # On the handle it was read from this is compare-and-set: another's commit makes ours fail.
        app_transactions=[Transaction(APP, following)],
    )
    how: dict[str, Any] = {"mode": "append"}
    if replacing is not None:
        how = {"mode": "overwrite", "predicate": replacing}
    _put(candles, rows, commit_properties=properties, **how)


def put_receipts(chunks: DeltaTable, receipts: pa.Table, up_to: int) -> None:
    properties = CommitProperties(app_transactions=[Transaction(APP, up_to)])
    _put(chunks, receipts, commit_properties=properties, mode="append")


def replace_files(table: DeltaTable, old: Sequence[DataFile], new: Sequence[AddAction]) -> None:
    """In one commit, put files with the same rows in the place of others of the handle's version.

    Fails if any commit was made meanwhile; the handle then is of the newest version. The engine's own
    merge heeds no such condition: two at once leave every row twice (deltalake 1.6.6).
    """
    now_ms = time.time_ns() // 1_000_000
    gone = [
        RemoveAction(
            path=file.path,
            data_change=False,
            deletion_timestamp=now_ms,
            size=file.size_bytes,
            partition_values={**file.partition},
        )
        for file in old
    ]
    fence = Transaction(APP, number(table))  # the same number: nothing is fetched by it
    table.create_write_transaction(
        [*new, *gone],
        "append",
        table.schema(),
        partition_by=table.metadata().partition_columns,
        commit_properties=CommitProperties(custom_metadata=MOVED, app_transactions=[fence]),
    )
    table.update_incremental()


def only_moved(table: DeltaTable, since: int) -> bool:
    """Whether the commits after version `since` have changed no row."""
    later = int(table.version()) - since
    return all(_MOVED in entry for entry in table.history(later)) if later else True


def _put(table: DeltaTable, rows: pa.Table, **how: Any) -> None:
    """Commit; and again where what overtook it has only moved rows."""
    for left in reversed(range(_TRIES)):
        seen = int(table.version())
        try:
            write_deltalake(table, rows, writer_properties=_WRITING, **how)
        except CommitFailedError:
            table.update_incremental()
            if not left or table.version() == seen or not only_moved(table, seen):
                raise
        else:
            return


def unfinished(
    candles: DeltaTable | None, chunks: DeltaTable | None, store: str
) -> list[Unfinished]:
    """Commits of candles whose receipts are missing from chunks, oldest first."""
    done, newest = number(chunks), number(candles)
    if done > newest:
        raise StoreError("its receipts speak of candles that are no longer there", store)
    if candles is None or done == newest:
        return []
    missing = range(done + 1, newest + 1)
    depth = len(missing)
    while True:
        log = candles.history(depth)
        found = {entry[_NUMBER]: entry for entry in log if _NUMBER in entry}
        if all(wanted in found for wanted in missing):
            return [_unfinished(found[wanted]) for wanted in missing]
        if len(log) < depth:
            raise StoreError(
                "its log of commits is cut: receipts of stored candles are lost", store
            )
        depth *= 4


def scan(table: DeltaTable, schema: pa.Schema, predicate: str) -> pa.RecordBatchReader:
    """The columns of `schema` of the rows that `predicate` selects, in no order, as they are read.

    A column that the table does not have yet is null.

    Not by way of `to_pyarrow_dataset()`: its file system leaves threads behind that abort the
    process at its end (exit code 134; deltalake 1.6.6 with pyarrow 26).
    """
    there = {field.name for field in table.schema().fields}
    columns = [name for name in schema.names if name in there]
    found = pa.RecordBatchReader.from_stream(table.scan(columns=columns, predicate=predicate))
    if len(columns) == len(schema):
        return found.cast(schema)
    filled = (_filled(batch, schema) for batch in found)
    return pa.RecordBatchReader.from_batches(schema, filled)


def _filled(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        batch[field.name].cast(field.type)
        if field.name in batch.schema.names
        else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _unfinished(entry: dict[str, Any]) -> Unfinished:
    return Unfinished(entry[_NUMBER], from_carried(entry[_RECEIPTS], entry["version"]))


_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_NO_WORDS = re.compile(r"\s*(\d+: <unknown>|\d+: |at /|note: |stack backtrace)", re.IGNORECASE)


def _first_words(message: str) -> str:
    """An error of the engine without colours and the frames of its stack, on one line."""
    if words := object_store.reason(message) or damage(message):
        return words
    lines = _COLOURS.sub("", message).splitlines()
    wanted = [line.strip(" ↳\t") for line in lines if line.strip() and not _NO_WORDS.match(line)]
    return "; ".join(wanted)[:500]
