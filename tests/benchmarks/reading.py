"""Ten years of daily bars of 2,400 shares: one share's, and all; beside other ways to keep and read them."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from rich.console import Console
from rich.table import Table

from actors.market.candles import BARS, Delivery, label_candles
from actors.market.chunk import Chunk, Receipt, Status
from actors.market.sessions import IST
from actors.market.timeframe import Timeframe
from actors.writer.store import StoreWriter
from cluster import Store
from cluster.optimize import optimize
from tests.benchmarks.meter import Failed

SHARES = 2_400
DAY = Timeframe.parse("1day")
FIRST, LAST = date(2014, 1, 1), date(2023, 12, 31)
COMMITTED_TOGETHER = 40  # chunks: what 500 requests a minute bring in 5 s
SINGLE_READS = 20  # a round; each of another share
SEED = 7


@dataclass(frozen=True, slots=True)
class Share:
    key: str
    symbol: str
    path: Path  # of its own Parquet file


@dataclass(frozen=True, slots=True)
class Kept:
    """The same candles as a store and as one file for each share."""

    store: str
    files: Path
    shares: list[Share]

    @property
    def table(self) -> str:
        return f"{self.store}/candles"


def run(rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        began_s = time.monotonic()
        kept = _write(Path(folder))
        print(f"reading: {SHARES:,} shares written in {time.monotonic() - began_s:.0f} s")
        measured = {"as a scan left it": _measure(kept, rounds)}
        began_s = time.monotonic()
        optimize(kept.store, timedelta(days=7), datetime.now(UTC), print, dry_run=False)
        print(f"reading: put in order in {time.monotonic() - began_s:.0f} s")
        measured["optimized"] = _measure(kept, rounds)
    for what in ("one share", "all shares"):
        shown = Table(what, *(f"{state}\nms" for state in measured), title=f"{what}, medians")
        for name in measured["as a scan left it"][what]:
            figures = [state[what][name] for state in measured.values()]
            shown.add_row(name, *(f"{1e3 * seconds:.1f}" for seconds in figures))
        for column in shown.columns[1:]:
            column.justify = "right"
        Console(width=110).print(shown)


def _measure(kept: Kept, rounds: int) -> dict[str, dict[str, float]]:
    """Seconds, median; ways interleaved, and each call from scratch: nothing is kept open."""
    draw = random.Random(SEED)
    chosen = draw.sample(kept.shares, SINGLE_READS * rounds)
    single = {name: list[float]() for name in ONE}
    for share in chosen:
        rows = {name: _timed(single[name], way, kept, share) for name, way in ONE.items()}
        _refuse_difference(rows)
    whole = {name: list[float]() for name in ALL}
    for _ in range(rounds):
        _refuse_difference({name: _timed(whole[name], way, kept) for name, way in ALL.items()})
    return {
        "one share": {name: median(seconds) for name, seconds in single.items()},
        "all shares": {name: median(seconds) for name, seconds in whole.items()},
    }


def _timed(spent: list[float], way: Callable[..., int], *asked: object) -> int:
    began_s = time.perf_counter()
    rows = way(*asked)
    spent.append(time.perf_counter() - began_s)
    return rows


def _refuse_difference(rows: dict[str, int]) -> None:
    if len(set(rows.values())) != 1:
        raise Failed(f"not all read the same: {rows}")


# One share, every column, in order of time. Answers with the number of rows.


def _store(kept: Kept, share: Share) -> int:
    candles = Store(kept.store).candles(symbols=share.symbol, timeframe=DAY)
    return int(candles.to_arrow().num_rows)


def _store_by_key(kept: Kept, share: Share) -> int:
    return len(Store(kept.store).candles(symbols=share.key, timeframe=DAY).to_pandas())


def _own_file(_: Kept, share: Share) -> int:
    return int(pq.read_table(share.path).num_rows)


def _duckdb(kept: Kept, share: Share) -> int:
    files = DeltaTable(kept.table).file_uris()
    found = duckdb.sql(
        f"SELECT * FROM read_parquet({files}, hive_partitioning = true) "
        f"WHERE timeframe = '1day' AND instrument_key = '{share.key}' ORDER BY ts"
    )
    return int(found.to_arrow_table().num_rows)


def _polars(kept: Kept, share: Share) -> int:
    bars = pl.scan_delta(kept.table).filter(timeframe="1day", instrument_key=share.key)
    return bars.sort("ts").collect().height


ONE: dict[str, Callable[[Kept, Share], int]] = {
    "Store, by symbol, Arrow": _store,
    "Store, by key, pandas": _store_by_key,
    "one Parquet file for each share, Arrow": _own_file,
    "DuckDB on the table's files": _duckdb,
    "Polars on the table": _polars,
}


# All shares: the highest close of the last two years of each. Answers with the number of shares.

SINCE = date(2022, 1, 1)


def _store_duckdb(kept: Kept) -> int:
    bars = Store(kept.store).candles(timeframe=DAY, first=SINCE).to_duckdb()
    return int(bars.aggregate("symbol, max(close)", "symbol").to_arrow_table().num_rows)


def _store_arrow(kept: Kept) -> int:
    chosen = Store(kept.store).candles(timeframe=DAY, first=SINCE, columns=["symbol", "close"])
    return int(chosen.to_arrow().group_by("symbol").aggregate([("close", "max")]).num_rows)


def _own_files(kept: Kept) -> int:
    found = duckdb.sql(
        f"SELECT symbol, max(close) FROM read_parquet('{kept.files}/*.parquet') "
        f"WHERE date >= '{SINCE}' GROUP BY symbol"
    )
    return int(found.to_arrow_table().num_rows)


def _polars_all(kept: Kept) -> int:
    bars = pl.scan_delta(kept.table).filter(pl.col("timeframe") == "1day", pl.col("date") >= SINCE)
    return bars.group_by("symbol").agg(pl.col("close").max()).collect().height


ALL: dict[str, Callable[[Kept], int]] = {
    "Store, DuckDB": _store_duckdb,
    "Store, Arrow": _store_arrow,
    "one Parquet file for each share, DuckDB": _own_files,
    "Polars on the table": _polars_all,
}


# The candles


def _write(folder: Path) -> Kept:
    """As a scan does: symbols in order, as many together as arrive between two commits."""
    kept = Kept(str(folder / "store"), folder / "files", [])
    kept.files.mkdir()
    writer = StoreWriter(kept.store)
    together: list[Delivery] = []
    for share, delivery in _deliveries(kept.files):
        assert delivery.candles is not None
        pq.write_table(delivery.candles.drop_columns("period"), share.path, compression="zstd")
        kept.shares.append(share)
        together.append(delivery)
        if len(together) == COMMITTED_TOGETHER:
            writer.commit(together)
            together = []
    writer.commit(together)
    writer.tidy(date(2000, 1, 1))
    return kept


def _deliveries(files: Path) -> Iterator[tuple[Share, Delivery]]:
    """Random walks. Keys do not sort as symbols do, as with ISINs."""
    draw = np.random.default_rng(SEED)
    numbers = draw.permutation(SHARES)
    span = (LAST - FIRST).days + 1
    days = [day for n in range(span) if (day := FIRST + timedelta(n)).weekday() < 5]
    starts = pa.array([datetime(d.year, d.month, d.day, tzinfo=IST) for d in days])
    fetched_at, size = datetime(2024, 6, 1, tzinfo=UTC), len(days)
    for place in range(SHARES):
        symbol, key = f"SHARE{place:04}", f"NSE_EQ|INE{numbers[place]:04}A01010"
        close = np.round(100 * np.exp(np.cumsum(draw.normal(0, 0.02, size))), 2)
        opened = np.round(close * (1 + draw.normal(0, 0.01, size)), 2)
        high, low = np.maximum(opened, close) + 0.05, np.minimum(opened, close) - 0.05
        volume = draw.integers(1_000, 10_000_000, size)
        bars = [starts, opened, high, low, close, volume, np.zeros(size, np.int64)]
        chunk = Chunk(key, symbol, DAY, FIRST, LAST)
        receipt = Receipt(
            chunk=chunk, status=Status.STORED, run_id="r", fetched_at=fetched_at, rows=size
        )
        candles = label_candles(chunk, pa.table(bars, schema=BARS), fetched_at)
        yield Share(key, symbol, files / f"{symbol}.parquet"), Delivery(receipt, candles)
