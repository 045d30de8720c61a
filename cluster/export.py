"""Candles out of the store into one file that anything can read."""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager
from difflib import get_close_matches
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from actors.market.candles import CANDLES
from actors.market.errors import UsageError
from actors.market.sessions import IST_SHIFT_US

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import date
    from pathlib import Path

    from actors.market.timeframe import Timeframe
    from actors.writer.reading import Store


class Format(StrEnum):
    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"
    JSONL = "jsonl"


#: What is handed out: all but the partition, and stamps as India's clocks show them.
_IST_SHIFT = pa.scalar(IST_SHIFT_US, pa.duration("us"))
_NAMES = [name for name in CANDLES.names if name != "period"]
TYPED = pa.schema([CANDLES.field(name) for name in _NAMES]).set(
    _NAMES.index("ts"), CANDLES.field("ts").with_type(pa.timestamp("us", tz="Asia/Kolkata"))
)
_TEXT = TYPED.set(_NAMES.index("ts"), CANDLES.field("ts").with_type(pa.string()))


class _Sink(Protocol):
    def write_table(self, table: pa.Table) -> None: ...
    def close(self) -> None: ...


def export(
    store: Store,
    *,
    symbols: Collection[str] | None = None,
    timeframe: Timeframe | None = None,
    first: date | None = None,
    last: date | None = None,
    format: Format,  # noqa: A002  # the option's own name
    out: Path,
    overwrite: bool = False,
) -> int:
    """Write the candles to `out` by instrument, timeframe and time; returns how many.

    A symbol may also be a whole instrument key. The file appears only when it is complete. Raises
    UsageError for an unknown symbol, a file that exists, and a choice that holds no candle.
    """
    if out.is_symlink() or (out.exists() and not out.is_file()):
        raise UsageError(f"{out} is not a plain file", "--out")
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists; choose another name or give --overwrite", "--out")
    if not out.parent.is_dir():
        raise UsageError(f"there is no folder {out.parent}", "--out")
    keys = None if symbols is None else _instrument_keys(store, symbols)
    rows = 0
    with _appearing(out) as aside:
        tables = store.in_order(instrument_keys=keys, timeframe=timeframe, first=first, last=last)
        with _closing(_sink(Format(format), aside)) as sink:
            for table in tables:
                sink.write_table(table)
                rows += table.num_rows
        if rows == 0:
            raise UsageError(_nothing(store, timeframe), "--store")
    return rows


def _instrument_keys(store: Store, symbols: Collection[str]) -> set[str]:
    known = store.symbols()
    keys = {key for found in known.values() for key in found}
    chosen: set[str] = set()
    for symbol in symbols:
        if symbol in known:
            chosen.update(known[symbol])
        elif symbol in keys:
            chosen.add(symbol)
        else:
            near = get_close_matches(symbol.upper(), known, n=3)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise UsageError(f"the store knows no {symbol!r}{hint}", "--symbol")
    return chosen


def _nothing(store: Store, timeframe: Timeframe | None) -> str:
    holdings = store.holdings()
    if not holdings:
        return f"{store.uri} holds no candles yet"
    held = "; ".join(f"{h.timeframe} from {h.first} to {h.last}" for h in holdings)
    asked = f"{timeframe} " if timeframe else ""
    return f"no {asked}candle fits what was asked; held are {held}"


@contextmanager
def _appearing(out: Path) -> Iterator[Path]:
    """Give a name beside `out`; what is written there becomes `out` once all went well."""
    aside = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}")
    try:
        yield aside
        aside.replace(out)
    except OSError as error:
        raise UsageError(f"{out} cannot be written ({error.strerror or error})", "--out") from error
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def _closing(sink: _Sink) -> Iterator[_Sink]:
    try:
        yield sink
    finally:
        sink.close()


def _sink(format: Format, place: Path) -> _Sink:  # noqa: A002
    match format:
        case Format.CSV:
            return _Shaped(pacsv.CSVWriter(place, _TEXT), _TEXT)
        case Format.PARQUET:
            return _Shaped(pq.ParquetWriter(place, TYPED, compression="zstd"), TYPED)
        case Format.ARROW:
            return _Shaped(pa.ipc.new_file(place, TYPED), TYPED)
        case Format.JSONL:
            return _Shaped(_Lines(place), _TEXT)


class _Shaped:
    """Brings candles into the form a file wants."""

    def __init__(self, sink: _Sink, schema: pa.Schema) -> None:
        self._sink = sink
        self._schema = schema

    def write_table(self, candles: pa.Table) -> None:
        columns = {name: candles[name] for name in _NAMES}
        if self._schema is _TEXT:
            columns["ts"] = _clock_text(candles["ts"])
        self._sink.write_table(
            pa.table(
                [columns[n].cast(self._schema.field(n).type) for n in _NAMES], schema=self._schema
            )
        )

    def close(self) -> None:
        self._sink.close()


class _Lines:
    """One JSON object for each row, its numbers in full: what is read back is what stood."""

    def __init__(self, place: Path) -> None:
        self._file = place.open("w", encoding="utf-8")

    def write_table(self, table: pa.Table) -> None:
        dates = table["date"].cast(pa.string())
        plain = table.set_column(table.column_names.index("date"), "date", dates)
        for batch in plain.to_batches(max_chunksize=10_000):
            self._file.writelines(
                json.dumps(row, ensure_ascii=False) + "\n" for row in batch.to_pylist()
            )

    def close(self) -> None:
        self._file.close()


def _clock_text(ts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Stamps as text, `2024-01-31T09:15:00+05:30`."""
    clock = (
        pc.add(ts.cast(pa.timestamp("us")), _IST_SHIFT).cast(pa.timestamp("s")).cast(pa.string())
    )
    return pc.binary_join_element_wise(pc.replace_substring(clock, " ", "T"), "+05:30", "")
