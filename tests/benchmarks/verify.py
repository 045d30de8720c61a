"""Verifying a year of 1-minute bars of 500 shares, and of a tenth of them: seconds and memory."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from actors.market.candles import BARS, Delivery, label_candles
from actors.market.chunk import Chunk, Receipt, Status
from actors.market.session_days import REFERENCE
from actors.market.timeframe import Timeframe
from actors.writer.store import StoreWriter
from cluster.lookalike.trading_days import calendar_of, epoch_day
from tests.benchmarks.fleet import environment
from tests.benchmarks.meter import Failed, Measured, measure

YEAR = 2024
SHARES = (50, 500)
AT = datetime(YEAR + 1, 2, 1, tzinfo=UTC)
COMMAND = [sys.executable, "-m", "cluster", "verify", "--from", f"{YEAR}-01-01", "--store"]


def run(rounds: int) -> None:
    table = Table("shares", "candles", "s", "CPU s", "peak MB", title=f"verify, median of {rounds}")
    for column in table.columns:
        column.justify = "right"
    for shares in SHARES:
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            candles = _fill(Path(folder) / "store", shares)
            done = [measure([*COMMAND, f"{folder}/store"], environment()) for _ in range(rounds)]
        table.add_row(f"{shares:,}", f"{candles:,}", *_medians(shares, done))
    Console(width=110).print(table)


def _medians(shares: int, done: list[Measured]) -> list[str]:
    if not all(f"{shares + 1} complete + 0 with gaps" in each.stdout for each in done):
        raise Failed(f"a whole store was not found complete:\n{done[0].stdout}")
    return [
        f"{median(each.seconds for each in done):.2f}",
        f"{median(each.cpu_s for each in done):.2f}",
        f"{median(each.peak_bytes for each in done) / 2**20:.0f}",
    ]


def _fill(place: Path, shares: int) -> int:
    writer = StoreWriter(str(place))
    draw = np.random.default_rng(1)
    days = calendar_of("NSE_EQ")
    year = days.between(epoch_day(date(YEAR, 1, 1)), epoch_day(date(YEAR, 12, 31)))
    midnights = days.days[year] * 86_400 - 19_800
    chunk = Chunk(REFERENCE, "NIFTY", Timeframe.parse("1day"), date(YEAR, 1, 1), date(YEAR, 12, 31))
    rows = writer.commit([_delivery(chunk, midnights, draw)]).rows
    for first, last in _months():
        month = days.between(epoch_day(first), epoch_day(last))
        sessions = zip(days.days[month], days.opens_at[month], days.minutes[month], strict=True)
        starts = np.concatenate(
            [day * 86_400 - 19_800 + (opens + np.arange(n)) * 60 for day, opens, n in sessions]
        )
        keys = [f"NSE_EQ|INE{share:06}01010" for share in range(shares)]
        chunks = [Chunk(key, key[-9:], Timeframe.parse("1minute"), first, last) for key in keys]
        for begin in range(0, shares, 50):
            batch = [_delivery(chunk, starts, draw) for chunk in chunks[begin : begin + 50]]
            rows += writer.commit(batch).rows
    return rows


def _delivery(chunk: Chunk, starts: np.ndarray, draw: np.random.Generator) -> Delivery:
    ts = pa.array(starts * 1_000_000).cast(pa.timestamp("us", tz="UTC"))
    prices = pa.array(np.round(500 + draw.integers(-9, 10, len(starts)).cumsum() * 0.05, 2))
    counts = pa.array(draw.integers(1, 5_000, len(starts)))
    bars = pa.table([ts, prices, prices, prices, prices, counts, counts], schema=BARS)
    receipt = Receipt(
        chunk=chunk, status=Status.STORED, run_id="r", fetched_at=AT, rows=len(starts)
    )
    return Delivery(receipt, label_candles(chunk, bars, AT))


def _months() -> Iterator[tuple[date, date]]:
    for month in range(1, 13):
        following = date(YEAR + month // 12, month % 12 + 1, 1)
        yield date(YEAR, month, 1), following - timedelta(days=1)
