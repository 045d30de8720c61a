"""Candles out of the store into one file that anything can read."""

from __future__ import annotations

import json
import os
import uuid
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from actors.market.candles import TS
from actors.market.errors import UsageError
from actors.market.sessions import IST_SHIFT_US
from actors.writer.selection import USUAL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from datetime import date

    from actors.market.timeframe import Timeframe
    from actors.writer.reading import Store


class Format(StrEnum):
    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"
    JSONL = "jsonl"


_STDOUT = 1
_BINARY = frozenset({Format.PARQUET, Format.ARROW})
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
    out: Path | None,
    overwrite: bool = False,
) -> Exported:
    """Write the candles to `out`, or to stdout, by instrument, timeframe and time.

    A symbol may also be a whole instrument key. A file appears only when it is complete. Raises
    UsageError for what the store never held, a file that exists, and a choice that holds no candle;
    BrokenPipeError once nobody reads stdout any more.
    """
    if out is not None:
        refuse_place(out, store, overwrite=overwrite)
    elif format in _BINARY and os.isatty(_STDOUT):
        raise UsageError(f"{format} is not for a terminal; name a file", "--out")
    candles = store.candles(symbols=symbols, timeframe=timeframe, first=first, last=last)
    pieces = candles.pieces()
    foremost = next(pieces, None)
    if foremost is None:
        raise UsageError(_nothing(store, timeframe), "--store")
    with _stdout() if out is None else appearing(out) as stream:
        rows = _write(chain([foremost], pieces), format, stream)
    return Exported(store.uri, candles.version, rows, "-" if out is None else str(out))


def _write(pieces: Iterable[pa.Table], format: Format, stream: BinaryIO) -> int:  # noqa: A002
    """Write them one after the other, and count their rows."""
    rows = 0
    with closing(_sink(format, stream)) as sink:
        for piece in pieces:
            sink.write_table(piece)
            rows += piece.num_rows
    return rows


def refuse_place(out: Path, store: Store, *, overwrite: bool) -> None:
    """Raises UsageError where no file can be written, or where one stands."""
    if out.is_dir():
        raise UsageError(f"{out} is a folder; name a file in it", "--out")
    if out.is_symlink() or (out.exists() and not out.is_file()):
        raise UsageError(f"{out} is not a plain file", "--out")
    if out.resolve().is_relative_to(Path(store.uri).resolve()):
        raise UsageError(f"{out} is in the store's own folder, which is for its tables", "--out")
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists; choose another name or give --overwrite", "--out")
    if not out.parent.is_dir():
        raise UsageError(f"there is no folder {out.parent}", "--out")


def _nothing(store: Store, timeframe: Timeframe | None) -> str:
    held = "; ".join(f"{h.timeframe} from {h.first} to {h.last}" for h in store.holdings())
    asked = f"{timeframe} " if timeframe else ""
    return f"no {asked}candle fits what was asked; held are {held}"


@contextmanager
def appearing(out: Path) -> Iterator[BinaryIO]:
    """What is written becomes `out` once all went well."""
    aside = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}")
    try:
        with aside.open("wb") as stream:
            yield stream
        aside.replace(out)
    except OSError as error:
        raise UsageError(f"{out} cannot be written ({error.strerror or error})", "--out") from error
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def _stdout() -> Iterator[BinaryIO]:
    # Not sys.stdout, which may hide that nobody reads it any more: then there is no need to go on.
    try:
        with os.fdopen(os.dup(_STDOUT), "wb") as stream:
            yield stream
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(f"stdout cannot be written ({error.strerror})", "--out") from error


def _sink(format: Format, stream: BinaryIO) -> _Sink:  # noqa: A002
    sink: _Sink
    match format:
        case Format.CSV:
            sink = _AsText(pacsv.CSVWriter(stream, _TEXT))
        case Format.PARQUET:
            sink = pq.ParquetWriter(stream, USUAL, compression="zstd")
        case Format.ARROW:
            sink = pa.ipc.new_file(stream, USUAL)
        case Format.JSONL:
            sink = _AsText(_Lines(stream))
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

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write_table(self, table: pa.Table) -> None:
        dates = table["date"].cast(pa.string())
        plain = table.set_column(table.column_names.index("date"), "date", dates)
        for batch in plain.to_batches(max_chunksize=10_000):
            lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in batch.to_pylist())
            self._stream.write("".join(lines).encode())

    def close(self) -> None:
        pass


def _clock_text(ts: pa.ChunkedArray) -> pa.ChunkedArray:
    clock = (
        pc.add(ts.cast(TS).cast(pa.timestamp("us")), _IST_SHIFT)
        .cast(pa.timestamp("s"))
        .cast(pa.string())
    )
    return pc.binary_join_element_wise(pc.replace_substring(clock, " ", "T"), "+05:30", "")
