"""Which rows of a store to move, so that readers open less. Nothing here changes a row."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from actors.market.timeframe import Timeframe
from actors.writer import tables
from actors.writer.data_files import data_files
from actors.writer.folder import Folder
from actors.writer.ordering import merge, order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import date

    from deltalake import DeltaTable

    from actors.writer.data_files import DataFile

#: What the end of a run puts in order at the most, of Parquet; more is left to the next or to
#: `optimize`. It takes 5 s (10 to 14 MiB a second, measured 2026-11-24, 2 cores).
AT_ONCE_BYTES = 64 * 2**20

#: Commits after the last checkpoint. A reader that opens the tables reads the log since then; ten
#: commits cost it 5 ms, a checkpoint 10 ms once.
_LONG_LOG = 10


@dataclass(frozen=True, slots=True)
class Partition:
    timeframe: str
    period: str
    files: tuple[DataFile, ...]

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    @property
    def scattered(self) -> int:
        """Row groups that may hold rows of any instrument: a reader of one opens them all."""
        return sum(file.row_groups for file in self.files if not file.is_ordered)

    @property
    def gains(self) -> bool:
        """Whether readers would open less of it were it in order."""
        return self.scattered > 1 or (self.scattered == 1 and len(self.files) > 1)


def partitions(candles: DeltaTable) -> list[Partition]:
    """In order of timeframe and period."""
    found: dict[str, list[DataFile]] = defaultdict(list)
    for file in data_files(candles):
        found[file.folder].append(file)
    return [
        Partition(files[0].partition["timeframe"], files[0].partition["period"], tuple(files))
        for files in found.values()
    ]


def paying(candidates: Iterable[Partition], today: date) -> list[Partition]:
    """Those to put in order at the end of a run: the most scattered first, within `AT_ONCE_BYTES`.

    Not the running period: updates write to it, and each would rewrite most of its files, for its
    instruments lie together in the order of their symbols, not of their keys.
    """
    chosen: list[Partition] = []
    left_bytes = AT_ONCE_BYTES
    for partition in sorted(candidates, key=lambda one: -one.scattered):
        if partition.scattered < tables.MANY or not _is_over(partition, today):
            continue
        if partition.size_bytes <= left_bytes:
            chosen.append(partition)
            left_bytes -= partition.size_bytes
    return chosen


def _is_over(partition: Partition, today: date) -> bool:
    return partition.period < Timeframe.parse(partition.timeframe).period(today)


def ordering(
    store: str, choose: Callable[[Sequence[Partition]], Iterable[Partition]]
) -> Callable[[DeltaTable, DeltaTable], Iterator[None]]:
    """Put the partitions that `choose` picks in order, merge small files, and shorten long logs.

    A step for `StoreWriter.tend`: it yields after every commit.
    """
    return partial(_ordering, store, choose)


def _ordering(
    store: str,
    choose: Callable[[Sequence[Partition]], Iterable[Partition]],
    candles: DeltaTable,
    chunks: DeltaTable,
) -> Iterator[None]:
    for partition in choose(partitions(candles)):
        order(candles, store, partition.files)
        yield
    yield from merge(candles, Folder(f"{store}/candles"))
    yield from merge(chunks, Folder(f"{store}/chunks"))
    shorten(candles, Folder(f"{store}/candles/_delta_log"))
    shorten(chunks, Folder(f"{store}/chunks/_delta_log"))


def shorten(table: DeltaTable, log: Folder) -> None:
    """Sum up a log that has grown long since that was last done, for those who open the table."""
    last = json.loads(log.read("_last_checkpoint") or b'{"version": 0}')
    if table.version() - last["version"] >= _LONG_LOG:
        table.create_checkpoint()
