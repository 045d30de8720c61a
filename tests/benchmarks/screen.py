"""One question, ten indicators, of 2,400 shares: ten years of days, and twenty sessions of minutes."""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from actors.market.candles import BARS, Delivery, label_candles
from actors.market.chunk import Chunk, Receipt, Status
from actors.market.timeframe import Timeframe
from actors.writer.store import StoreWriter
from cluster.optimize import optimize
from tests.benchmarks.fleet import environment
from tests.benchmarks.meter import Failed, measure
from tests.benchmarks.screening_ways import WAYS

SHARES = 2_400
LAST = date(2023, 12, 29)
DAYS = {"1day": 2_600, "1minute": 20}  # weekdays up to the last: ten years, twenty sessions
MINUTES = 375
COMMITTED_TOGETHER = 40  # chunks
AT = datetime(2024, 6, 1, tzinfo=UTC)
WITHIN_S = 900.0
SEED = 11

_NAMES = {
    "ours": "candlefleet, Screen.run",
    "polars": "Polars on the same table",
    "talib_loop": "loop over files, TA-Lib",
    "pandas_loop": "loop over files, pandas",
}


@dataclass(slots=True)
class _Spent:
    """Of one way, each round."""

    seconds: list[float]
    cpu_s: list[float]
    peak_bytes: list[int]


def run(rounds: int) -> None:
    for label in DAYS:
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            began_s = time.monotonic()
            rows = write(Path(folder), label, SHARES)
            took_s = time.monotonic() - began_s
            print(f"screen: {rows:,} {label} candles written in {took_s:.0f} s", flush=True)
            _compare(Path(folder), label, rows, rounds)


def _compare(place: Path, label: str, rows: int, rounds: int) -> None:
    spent = defaultdict[str, _Spent](lambda: _Spent([], [], []))
    found: dict[str, str] = {}
    for _ in range(rounds):
        for way in WAYS:
            command = [
                sys.executable,
                "-m",
                "tests.benchmarks.screening_ways",
                way,
                str(place),
                label,
            ]
            done = measure(command, environment(), WITHIN_S)
            seconds, _, found[way] = done.stdout.strip().partition(" ")
            spent[way].seconds.append(float(seconds))
            spent[way].cpu_s.append(done.cpu_s)
            spent[way].peak_bytes.append(done.peak_bytes)
    if len({*found.values()}) != 1:
        raise Failed(
            f"not all found the same: { {way: len(m.split(',')) for way, m in found.items()} }"
        )
    matches = len(found["ours"].split(","))
    asked = f"{rows:,} {label} candles of {SHARES:,} shares, {matches} match"
    print(f"screen: {asked}; medians of {rounds}, CPU with imports", flush=True)
    table = Table("", "s", "CPU s", "peak MB")
    for way, each in spent.items():
        peak_mb = median(each.peak_bytes) / 2**20
        took = f"{median(each.seconds):.2f}", f"{median(each.cpu_s):.2f}"
        table.add_row(_NAMES[way], *took, f"{peak_mb:,.0f}")
    for column in table.columns[1:]:
        column.justify = "right"
    Console(width=110).print(table)


def write(place: Path, label: str, shares: int) -> int:
    """A store, put in order, and the same candles as one file for each share. Answers with the rows."""
    (place / "files").mkdir()
    writer = StoreWriter(str(place / "store"))
    together: list[Delivery] = []
    rows = 0
    for delivery in _deliveries(label, shares):
        assert delivery.candles is not None
        file = place / "files" / f"{delivery.receipt.chunk.symbol}.parquet"
        pq.write_table(delivery.candles.drop_columns("period"), file, compression="zstd")
        rows += delivery.candles.num_rows
        together.append(delivery)
        if len(together) == COMMITTED_TOGETHER:
            writer.commit(together)
            together = []
    if together:
        writer.commit(together)
    del writer
    optimize(str(place / "store"), timedelta(days=7), datetime.now(UTC), print, dry_run=False)
    return rows


def _deliveries(label: str, shares: int) -> Iterator[Delivery]:
    """Random walks. Keys do not sort as symbols do, as with ISINs."""
    draw = np.random.default_rng(SEED)
    timeframe = Timeframe.parse(label)
    starts = _starts(timeframe)
    size = len(starts)
    first = (datetime.fromtimestamp(int(starts[0]) / 1e6, UTC) + timedelta(hours=6)).date()
    for place, number in enumerate(draw.permutation(shares).tolist()):
        chunk = Chunk(f"NSE_EQ|INE{number:04}A01010", f"SHARE{place:04}", timeframe, first, LAST)
        moves = draw.normal(0, 0.02 if label == "1day" else 0.001, size)
        close = np.round(1_000 * np.exp(np.cumsum(moves)), 2)
        opened = np.round(close * (1 + draw.normal(0, 0.001, size)), 2)
        high, low = np.maximum(opened, close) + 0.05, np.minimum(opened, close) - 0.05
        volume = draw.integers(1_000, 10_000_000, size)
        columns = [starts, opened, high, low, close, volume, np.zeros(size, np.int64)]
        bars = pa.table(
            [pa.array(c).cast(f.type) for c, f in zip(columns, BARS, strict=True)], schema=BARS
        )
        receipt = Receipt(chunk=chunk, status=Status.STORED, run_id="r", fetched_at=AT, rows=size)
        yield Delivery(receipt, label_candles(chunk, bars, AT))


def _starts(timeframe: Timeframe) -> np.ndarray:
    """Of regular sessions, microseconds since 1970 UTC."""
    back = (LAST - timedelta(n) for n in range(2 * DAYS[timeframe.label] + 9))
    days = sorted([day for day in back if day.weekday() < 5][: DAYS[timeframe.label]])
    midnights = np.array([(day - date(1970, 1, 1)).days * 86_400 - 19_800 for day in days])
    within = 555 * 60 + 60 * np.arange(MINUTES) if timeframe.is_intraday else np.zeros(1, np.int64)
    return (midnights[:, None] + within[None, :]).reshape(-1) * 1_000_000
