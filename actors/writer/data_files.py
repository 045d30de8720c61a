"""The Parquet files of a table, as its log knows them and as they are written anew."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from actors.writer import tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from deltalake import DeltaTable

    from actors.writer.folder import Folder

ORDERED = "ordered-"  # so begin the names of files that `ordering.order` writes
MERGED = "merged-"


class DataFile(NamedTuple):
    """A file of the table's newest version."""

    path: str  # in the table's folder
    size_bytes: int
    rows: int
    partition: dict[str, str]  # values by column
    least: dict[str, Any]  # of the columns that the log describes
    greatest: dict[str, Any]

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def is_ordered(self) -> bool:
        """Whether its rows ascend, and lie before or after those of its siblings that do."""
        return self.path.rpartition("/")[2].startswith(ORDERED)

    @property
    def row_groups(self) -> int:
        return -(-self.rows // tables.ROW_GROUP_ROWS)


def data_files(table: DeltaTable) -> list[DataFile]:
    """In order of their folders."""
    listed = pa.table(table.get_add_actions()).to_pylist()
    found = [
        DataFile(
            file["path"],
            file["size_bytes"],
            file["num_records"],
            file.get("partition", {}),
            file["min"],
            file["max"],
        )
        for file in listed
    ]
    return sorted(found, key=lambda file: (file.folder, file.path))


def write(
    folder: Folder,
    rows: Iterable[pa.Table],
    kind: str,
    table: DeltaTable,
    partition: dict[str, str],
) -> Iterator[AddAction]:
    """Put rows, in their order, into as few files as `tables.FILE_BYTES` allows; none is committed yet."""
    described = table.metadata().configuration["delta.dataSkippingStatsColumns"].split(",")
    file: _Growing | None = None
    for row_group in _row_groups(rows, [*partition]):
        file = file or _Growing(row_group.schema, described)
        file.add(row_group)
        if file.is_full:
            yield file.put(folder, kind, partition)
            file = None
    if file is not None:
        yield file.put(folder, kind, partition)


def _row_groups(rows: Iterable[pa.Table], without: list[str]) -> Iterator[pa.Table]:
    """The same rows; all tables but the last one are as long as a row group."""
    rest: pa.Table | None = None
    for table in rows:
        wanted = table.drop_columns(without)
        joined = wanted if rest is None else pa.concat_tables([rest, wanted])
        whole = joined.num_rows - joined.num_rows % tables.ROW_GROUP_ROWS
        for start in range(0, whole, tables.ROW_GROUP_ROWS):
            yield joined.slice(start, tables.ROW_GROUP_ROWS)
        rest = joined.slice(whole)
    if rest is not None and rest.num_rows:
        yield rest


class _Growing:
    """A file that is being written, in memory."""

    def __init__(self, schema: pa.Schema, described: list[str]) -> None:
        self._content = pa.BufferOutputStream()
        self._parquet = pq.ParquetWriter(
            self._content, schema, compression="zstd", compression_level=1, write_page_index=True
        )
        self._described = schema.empty_table().select(described)

    def add(self, row_group: pa.Table) -> None:
        self._parquet.write_table(row_group, row_group_size=tables.ROW_GROUP_ROWS)
        columns = row_group.select(self._described.column_names)
        self._described = pa.concat_tables([self._described, columns])

    @property
    def is_full(self) -> bool:
        return int(self._content.tell()) >= tables.FILE_BYTES

    def put(self, folder: Folder, kind: str, partition: dict[str, str]) -> AddAction:
        self._parquet.close()
        content: bytes = self._content.getvalue().to_pybytes()
        name = f"{kind}{uuid.uuid4()}.zstd.parquet"
        folder.write(name, content)
        place = [f"{column}={value}" for column, value in partition.items()]
        return AddAction(
            path="/".join([*place, name]),
            size=len(content),
            partition_values=partition,
            modification_time=time.time_ns() // 1_000_000,
            data_change=False,
            stats=json.dumps(self._stats()),
        )

    def _stats(self) -> dict[str, Any]:
        columns = self._described
        bounds = {name: _bounds(columns[name]) for name in columns.column_names}
        return {
            "numRecords": columns.num_rows,
            "minValues": {name: least for name, (least, _) in bounds.items()},
            "maxValues": {name: greatest for name, (_, greatest) in bounds.items()},
            "nullCount": {name: columns[name].null_count for name in columns.column_names},
        }


def _bounds(column: pa.ChunkedArray) -> tuple[str, str]:
    bounds = pc.min_max(column)
    least, greatest = bounds["min"], bounds["max"]
    if pa.types.is_timestamp(column.type):
        least, greatest = (pc.strftime(stamp, "%Y-%m-%dT%H:%M:%SZ") for stamp in (least, greatest))
    return str(least), str(greatest)
