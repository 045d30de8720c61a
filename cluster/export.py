"""Candles out of the store into one file that anything can read."""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from actors.market.candles import TS
from actors.market.errors import UsageError
from actors.market.sessions import IST_SHIFT_US
from actors.writer.selection import USUAL

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


_TS = USUAL.get_field_index("ts")
_TEXT = USUAL.set(_TS, USUAL.field(_TS).with_type(pa.string()))
_IST_SHIFT = pa.scalar(IST_SHIFT_US, pa.duration("us"))


class _Sink(Protocol):
    def write_table(self, table: pa.Table) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written; `candles_version` is what to ask for to have the same again."""

    store: str
    candles_version: int
    rows: int
    out: str

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


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
) -> Exported:
    """Write the candles to `out` by instrument, timeframe and time.

    A symbol may also be a whole instrument key. The file appears only when it is complete. Raises
    UsageError for what the store never held, a file that exists, and a choice that holds no candle.
    """
    refuse_place(out, overwrite=overwrite)
    candles = store.candles(symbols=symbols, timeframe=timeframe, first=first, last=last)
    rows = 0
    with appearing(out) as aside:
        with _closing(_sink(Format(format), aside)) as sink:
            for piece in candles.pieces():
                sink.write_table(piece)
                rows += piece.num_rows
        if rows == 0:
            raise UsageError(_nothing(store, timeframe), "--store")
    return Exported(store.uri, candles.version, rows, str(out))


def refuse_place(out: Path, *, overwrite: bool) -> None:
    """Raises UsageError where no file can be written, or where one stands."""
    if out.is_symlink() or (out.exists() and not out.is_file()):
        raise UsageError(f"{out} is not a plain file", "--out")
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists; choose another name or give --overwrite", "--out")
    if not out.parent.is_dir():
        raise UsageError(f"there is no folder {out.parent}", "--out")


def _nothing(store: Store, timeframe: Timeframe | None) -> str:
    held = "; ".join(f"{h.timeframe} from {h.first} to {h.last}" for h in store.holdings())
    asked = f"{timeframe} " if timeframe else ""
    return f"no {asked}candle fits what was asked; held are {held}"


@contextmanager
def appearing(out: Path) -> Iterator[Path]:
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
    sink: _Sink
    match format:
        case Format.CSV:
            sink = _AsText(pacsv.CSVWriter(place, _TEXT))
        case Format.PARQUET:
            sink = pq.ParquetWriter(place, USUAL, compression="zstd")
        case Format.ARROW:
            sink = pa.ipc.new_file(place, USUAL)
        case Format.JSONL:
            sink = _AsText(_Lines(place))
    return sink


class _AsText:
    """Writes stamps as text, `2024-01-31T09:15:00+05:30`."""

    def __init__(self, sink: _Sink) -> None:
        self._sink = sink

    def write_table(self, candles: pa.Table) -> None:
        self._sink.write_table(
            candles.set_column(_TS, _TEXT.field(_TS), _clock_text(candles["ts"]))
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
    clock = (
        pc.add(ts.cast(TS).cast(pa.timestamp("us")), _IST_SHIFT)
        .cast(pa.timestamp("s"))
        .cast(pa.string())
    )
    return pc.binary_join_element_wise(pc.replace_substring(clock, " ", "T"), "+05:30", "")
