"""Candles chosen from a store, and the forms they are handed out in."""

from __future__ import annotations

from importlib import import_module
from textwrap import shorten
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

import pyarrow as pa
from deltalake import QueryBuilder

from actors.market.candles import CANDLES
from actors.market.errors import UsageError
from actors.writer import tables
from actors.writer.predicate import quoted, selecting

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import date

    import pandas as pd
    import polars as pl
    from deltalake import DeltaTable
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

    from actors.market.timeframe import Timeframe

#: What may be handed out; without a choice, all but the partition. Stamps are as India's clocks show them.
COLUMNS = CANDLES.set(
    CANDLES.get_field_index("ts"),
    CANDLES.field("ts").with_type(pa.timestamp("us", tz="Asia/Kolkata")),
)
USUAL = pa.schema([field for field in COLUMNS if field.name != "period"])

#: `Candles.pieces` takes as many instruments together as have fewer rows than this, or one.
ROWS_TOGETHER = 500_000

_ORDER = [("instrument_key", "ascending"), ("timeframe", "ascending"), ("ts", "ascending")]


class Choice(NamedTuple):
    """Which candles; None lets all pass. Days are IST, both included."""

    instrument_keys: Collection[str] | None = None
    timeframe: Timeframe | None = None
    first: date | None = None
    last: date | None = None
    final_only: bool = False

    @property
    def condition(self) -> str:
        chosen = selecting(
            instrument_keys=self.instrument_keys,
            timeframe=self.timeframe,
            first=self.first,
            last=self.last,
        )
        return f"({chosen}) AND final" if self.final_only else chosen


class Candles:
    """Chosen candles of one version of a store. They are read when they are turned into something.

    In every form but DuckDB's they are in order of instrument_key, timeframe and ts.
    """

    def __init__(self, table: DeltaTable, store: str, choice: Choice, columns: pa.Schema) -> None:
        self._table = table
        self._store = store
        self._choice = choice
        self._columns = columns

    def __repr__(self) -> str:
        place = f"version {self.version} of {self._store}"
        return shorten(f"<candles of {place} where {self._choice.condition}>", 200)

    @property
    def version(self) -> int:
        """Version of the candles table they are of; `as_of` takes it."""
        return int(self._table.version())

    @property
    def columns(self) -> list[str]:
        return list(self._columns.names)

    def to_arrow(self) -> pa.Table:
        return self._read(self._choice)

    def to_pandas(self) -> pd.DataFrame:
        """With `date` as a stamp without a zone, at midnight: pandas knows no days."""
        frame: pd.DataFrame = self.to_arrow().to_pandas(date_as_object=False)
        return frame

    def to_polars(self) -> pl.DataFrame:
        frame: pl.DataFrame = _installed("polars").from_arrow(self.to_arrow())
        return frame

    def to_duckdb(self, connection: DuckDBPyConnection | None = None) -> DuckDBPyRelation:
        """A lazy relation, in no order: of the store's files DuckDB reads only what a query needs.

        It lives on `connection`, or on DuckDB's default one, whose clock is set to India's.
        """
        duckdb = _installed("duckdb")
        connection = duckdb.default_connection() if connection is None else connection
        connection.execute("SET TimeZone = 'Asia/Kolkata'")
        with tables.in_words(self._store):
            found = self._table.file_uris(file_pruning_predicate=self._choice.condition)
        files = [unquote(file) for file in found]  # a store's path holds no % of its own
        # It cannot open object stores as it is installed, and takes `*` for any file.
        if not files or any("://" in file or "*" in file for file in files):
            return connection.from_arrow(self.to_arrow())
        named = ", ".join(map(quoted, files))
        partitions = "hive_partitioning = true, hive_types_autocast = false"
        rows = connection.sql(f"FROM read_parquet([{named}], {partitions})")
        return rows.filter(self._choice.condition).select(*self.columns)

    def unordered(self) -> pa.Table:
        """What `to_arrow` gives, in no order: to sort takes three times as long as to read."""
        with tables.in_words(self._store):
            return tables.scan(self._table, self._columns, self._choice.condition).read_all()

    def only(
        self,
        *,
        columns: Collection[str],
        timeframe: Timeframe,
        first: date | None = None,
        last: date | None = None,
        instrument_keys: Collection[str] | None = None,
    ) -> Candles:
        """Other candles of the same version, by keys and columns that are known to be there."""
        choice = Choice(instrument_keys, timeframe, first, last, self._choice.final_only)
        chosen = pa.schema([COLUMNS.field(name) for name in columns])
        return Candles(self._table, self._store, choice, chosen)

    def pieces(self) -> Iterator[pa.Table]:
        """What `to_arrow` gives, in the same order, a few instruments at a time."""
        for keys in self._groups():
            yield self._read(self._choice._replace(instrument_keys=keys))

    def _read(self, choice: Choice) -> pa.Table:
        ordering = [name for name, _ in _ORDER if name not in self._columns.names]
        read = pa.schema([*self._columns, *(COLUMNS.field(name) for name in ordering)])
        with tables.in_words(self._store):
            found = tables.scan(self._table, read, choice.condition).read_all()
        return found.sort_by(_ORDER).select(self._columns.names)

    def _groups(self) -> Iterator[list[str]]:
        """The instruments there are, in order, as many together as their rows allow."""
        counting = (
            "SELECT instrument_key, count(*) FROM candles "  # noqa: S608  # `condition` quotes
            f"WHERE {self._choice.condition} GROUP BY 1 ORDER BY 1"
        )
        with tables.in_words(self._store):
            counts = QueryBuilder().register("candles", self._table).execute(counting)
            counted = [column.to_pylist() for column in pa.table(counts).itercolumns()]
        group: list[str] = []
        rows = 0
        for key, more in zip(*counted, strict=True):
            if group and rows + more > ROWS_TOGETHER:
                yield group
                group, rows = [], 0
            group.append(key)
            rows += more
        if group:
            yield group


def _installed(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise UsageError(f"{name} is not installed; `pip install {name}` does it") from None
