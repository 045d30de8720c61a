"""Rows moved to other files, in commits that change none: put in order, or merged."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from actors.market.candles import CANDLES
from actors.market.errors import StoreError
from actors.market.timeframe import Timeframe
from actors.writer import tables
from actors.writer.data_files import MERGED, ORDERED, data_files, write
from actors.writer.folder import Folder
from actors.writer.selection import Candles, Choice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deltalake import DeltaTable

    from actors.writer.data_files import DataFile


def order(candles: DeltaTable, store: str, partition: Sequence[DataFile]) -> None:
    """Put a partition's rows in order of instrument and time; each file then is a range of instruments.

    In memory are at most `selection.ROWS_TOGETHER` rows, or one instrument's. Raises StoreError,
    and leaves all as it was, if rows are not there that the log speaks of.
    """
    values = partition[0].partition
    choice = Choice(
        timeframe=Timeframe.parse(values["timeframe"]),
        first=min(file.least["date"] for file in partition),
        last=max(file.greatest["date"] for file in partition),
    )
    rows = Candles(candles, store, choice, CANDLES).pieces()
    _move(candles, Folder(f"{store}/candles"), partition, rows, ORDERED)


def merge(table: DeltaTable, folder: Folder) -> Iterator[None]:
    """Merge small files where a partition has many. Yields after every commit."""
    small: dict[str, list[DataFile]] = defaultdict(list)
    for file in data_files(table):
        if file.size_bytes < tables.FILE_BYTES // 4:
            small[file.folder].append(file)
    for files in small.values():
        if len(files) >= tables.MANY:
            _move(table, folder, files, _contents(folder, files, table), MERGED)
            yield


def _contents(folder: Folder, files: Sequence[DataFile], table: DeltaTable) -> Iterator[pa.Table]:
    """File after file. Columns that one of an earlier version does not have are null."""
    schema = pa.schema(table.schema().to_arrow())
    for file in files:
        content = folder.read(file.path)
        if content is None:
            raise StoreError(f"its file {file.path} is gone", folder.uri)
        rows = pq.read_table(pa.BufferReader(content))
        columns = [
            rows[field.name].cast(field.type)
            if field.name in rows.column_names
            else pa.repeat(pa.scalar(file.partition.get(field.name), field.type), rows.num_rows)
            for field in schema
        ]
        yield pa.table(columns, schema=schema)


def _move(
    table: DeltaTable,
    folder: Folder,
    files: Sequence[DataFile],
    rows: Iterator[pa.Table],
    kind: str,
) -> None:
    """Put these rows, which are all that the files hold, in their place."""
    counted = 0

    def counting() -> Iterator[pa.Table]:
        nonlocal counted
        for piece in rows:
            counted += piece.num_rows
            yield piece

    inside = folder.within(files[0].folder) if files[0].folder else folder
    written = list(write(inside, counting(), kind, table, files[0].partition))
    if counted != (told := sum(file.rows for file in files)):
        problem = f"{files[0].folder} holds {counted:,} rows where its log speaks of {told:,}"
        raise StoreError(problem, folder.uri)
    tables.replace_files(table, files, written)
