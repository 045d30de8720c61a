from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from actors.market.candles import CANDLES
from actors.market.errors import StoreError
from actors.market.timeframe import Timeframe
from actors.writer import coverage, object_store, tables
from actors.writer.folder import Folder, absolute
from actors.writer.predicate import selecting
from actors.writer.receipts import RECEIPTS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import date

    from deltalake import DeltaTable

#: `in_order` takes as many instruments together as have fewer rows than this, or one.
ROWS_TOGETHER = 500_000

_ORDER = [("instrument_key", "ascending"), ("timeframe", "ascending"), ("ts", "ascending")]


@dataclass(frozen=True, slots=True)
class Holding:
    """What the store holds of one timeframe."""

    timeframe: str
    instruments: int
    rows: int
    first: date  # the oldest candle's day, IST
    last: date  # the newest one's


class Store:
    """Reads a store. One that does not exist yet is empty; every call sees the newest version.

    Rows and receipts appear together, even after a crash between their commits. Making one raises
    UsageError if it is in an object store that cannot be looked into.
    """

    def __init__(self, uri: str, *, storage_options: dict[str, str] | None = None) -> None:
        self.uri = absolute(uri)
        if storage_options is None:
            object_store.reach(self.uri)
        self._options = storage_options or object_store.options(self.uri)

    def exists(self) -> bool:
        return self._table("candles") is not None

    def candles_version(self) -> int | None:
        """Version of the candles table; None if there is none yet."""
        candles = self._table("candles")
        return None if candles is None else int(candles.version())

    def receipts(self) -> pa.Table:
        """Every receipt there is, as RECEIPTS."""
        chunks = self._table("chunks")  # before the candles, so that none is missed in between
        with tables.in_words(self.uri):
            pending = tables.unfinished(self._table("candles"), chunks, self.uri)
            known = RECEIPTS.empty_table() if chunks is None else _all(chunks, RECEIPTS)
        return pa.concat_tables([known, *(commit.receipts for commit in pending)]).combine_chunks()

    def latest(self) -> pa.Table:
        """The newest receipt of every chunk."""
        return coverage.latest(self.receipts())

    def dead_letters(self) -> pa.Table:
        """Receipts of the chunks that failed last, and whose days nothing has answered since."""
        return coverage.dead_letters(self.receipts())

    def held(self) -> coverage.Held:
        """Which days of what have been answered, and when: what a plan need not ask again."""
        return coverage.held(self.receipts())

    def candles(
        self,
        *,
        symbols: Collection[str] | None = None,
        instrument_keys: Collection[str] | None = None,
        timeframe: Timeframe | str | None = None,
        first: date | None = None,
        last: date | None = None,
        columns: Collection[str] | None = None,
    ) -> pa.Table:
        """Candles that pass every filter given, ordered by instrument, timeframe and time.

        `first` and `last` are IST days, both included. A symbol may name several instruments.
        """
        keys = self._keys(symbols, instrument_keys)
        wanted = (
            CANDLES if columns is None else pa.schema([CANDLES.field(name) for name in columns])
        )
        candles = self._table("candles")
        if candles is None:
            return wanted.empty_table()
        frame = Timeframe.parse(timeframe) if isinstance(timeframe, str) else timeframe
        condition = selecting(instrument_keys=keys, timeframe=frame, first=first, last=last)
        ordering = [name for name, _ in _ORDER if name not in wanted.names]
        read = pa.schema([*wanted, *(CANDLES.field(name) for name in ordering)])
        with tables.in_words(self.uri):
            return (
                tables.scan(candles, read, condition)
                .read_all()
                .sort_by(_ORDER)
                .select(wanted.names)
            )

    def in_order(
        self,
        *,
        instrument_keys: Collection[str] | None = None,
        timeframe: Timeframe | None = None,
        first: date | None = None,
        last: date | None = None,
    ) -> Iterator[pa.Table]:
        """The same candles in the same order, a few instruments at a time, all of one version."""
        receipts = self.receipts()
        candles = self._table("candles")
        if candles is None:
            return
        for keys in _groups(receipts, instrument_keys, timeframe):
            condition = selecting(instrument_keys=keys, timeframe=timeframe, first=first, last=last)
            with tables.in_words(self.uri):
                rows = tables.scan(candles, CANDLES, condition).read_all().sort_by(_ORDER)
            if rows.num_rows:
                yield rows

    def symbols(self) -> dict[str, list[str]]:
        """The instrument keys each symbol stands for, of all that was ever asked for."""
        pairs = self.receipts().group_by(["symbol", "instrument_key"]).aggregate([]).to_pylist()
        found: dict[str, list[str]] = {}
        for pair in sorted(pairs, key=lambda pair: (pair["symbol"], pair["instrument_key"])):
            found.setdefault(pair["symbol"], []).append(pair["instrument_key"])
        return found

    def holdings(self) -> list[Holding]:
        """What is held of each timeframe, from the tables' own statistics: no candle is read."""
        candles, receipts = self._table("candles"), self.receipts()
        if candles is None:
            return []
        with tables.in_words(self.uri):
            files = pa.table(candles.get_add_actions(flatten=True))
        if files.num_rows == 0:
            return []
        stored = receipts.filter(pc.greater(receipts["rows"], 0)).group_by("timeframe")
        counted = stored.aggregate([("instrument_key", "count_distinct")])
        instruments = dict(
            zip(*(column.to_pylist() for column in counted.itercolumns()), strict=True)
        )
        sums = files.group_by("partition.timeframe").aggregate(
            [("num_records", "sum"), ("min.date", "min"), ("max.date", "max")]
        )
        rows = zip(*(column.to_pylist() for column in sums.itercolumns()), strict=True)
        return sorted(
            (Holding(label, instruments.get(label, 0), *rest) for label, *rest in rows),
            key=lambda holding: _length(Timeframe.parse(holding.timeframe)),
        )

    def runs(self) -> list[str]:
        """Ids of the runs that left files here, in order."""
        return self._folder.within("runs").names()

    def run(self, run_id: str) -> Folder:
        """The files of a run: its manifest, report and log."""
        return self._folder.within("runs").within(run_id)

    @property
    def _folder(self) -> Folder:
        return Folder(self.uri)

    def _table(self, name: str) -> DeltaTable | None:
        if self._folder.is_file():
            raise StoreError("is a file, not a folder", self.uri)
        with tables.in_words(self.uri):
            return tables.open_table(f"{self.uri}/{name}", self._options)

    def _keys(
        self, symbols: Collection[str] | None, instrument_keys: Collection[str] | None
    ) -> set[str] | None:
        if symbols is None:
            return None if instrument_keys is None else set(instrument_keys)
        known = self.symbols()
        named = {key for symbol in symbols for key in known.get(symbol, [])}
        return named if instrument_keys is None else named & set(instrument_keys)


def _all(table: DeltaTable, schema: pa.Schema) -> pa.Table:
    return tables.scan(table, schema, "TRUE").read_all()


def _groups(
    receipts: pa.Table, instrument_keys: Collection[str] | None, timeframe: Timeframe | None
) -> Iterator[list[str]]:
    """Instruments in order, as many together as their receipts allow. Replaced rows count twice."""
    if timeframe is not None:
        receipts = receipts.filter(pc.equal(receipts["timeframe"], timeframe.label))
    counted = (
        receipts.group_by("instrument_key").aggregate([("rows", "sum")]).sort_by("instrument_key")
    )
    group: list[str] = []
    rows = 0
    for key, more in zip(*(column.to_pylist() for column in counted.itercolumns()), strict=True):
        if more == 0 or (instrument_keys is not None and key not in instrument_keys):
            continue
        if group and rows + more > ROWS_TOGETHER:
            yield group
            group, rows = [], 0
        group.append(key)
        rows += more
    if group:
        yield group


def _length(timeframe: Timeframe) -> tuple[int, int]:
    return list(type(timeframe.unit)).index(timeframe.unit), timeframe.interval
