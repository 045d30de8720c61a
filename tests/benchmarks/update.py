"""What the writer makes of a day's update: 500 symbols' current month of 1-minute bars, asked for again.

Each symbol's answer holds the whole month, for an update asks as far back as one request reaches. The
month is stored as a run would, in the writer's own batches, and then a day is added; after that the
same with a history that a split has rewritten, the dearest update there is.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from actors.market.candles import BARS, Delivery, label_candles
from actors.market.chunk import Chunk, Receipt, Status
from actors.market.timeframe import Timeframe
from actors.writer.buffer import BufferRules, bytes_of
from actors.writer.store import StoreWriter

SYMBOLS = 500
FIRST = date(2026, 6, 1)
SESSIONS = 20  # a month's, before the day that is added
MINUTES = 375
MINUTE = Timeframe.parse("1minute")


@dataclass(frozen=True, slots=True)
class Measured:
    seconds: float
    came: int  # rows
    new: int
    written: int  # of the files that the commits added
    peak_bytes: int  # of the writer's process, its start included


def run(rounds: int) -> None:
    """Print the medians."""
    for name, factor in (("a day more", 1.0), ("after a split", 0.5)):
        found = [_in_a_process(factor) for _ in range(rounds)]
        seconds = statistics.median(one.seconds for one in found)
        last = found[-1]
        print(
            f"update of {SYMBOLS} symbols, {name}: writer {seconds:.1f} s; {last.came:,} rows came, "
            f"{last.new:,} of them new, {last.written:,} written; "
            f"peak {max(one.peak_bytes for one in found) / 2**20:,.0f} MiB"
        )


def _in_a_process(factor: float) -> Measured:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measured, (factor,))


def measured(factor: float) -> Measured:
    """Store the month, then update it with prices `factor` times the old ones."""
    with tempfile.TemporaryDirectory(prefix="candlefleet-bench-") as folder:
        writer = StoreWriter(f"{folder}/store")
        for batch in _batches(SESSIONS, 1.0, datetime(2026, 7, 1, tzinfo=UTC)):
            writer.commit(batch)
        writer.tidy(date(2000, 1, 1))
        version, seconds, came = writer.candles_version, 0.0, 0
        for batch in _batches(SESSIONS + 1, factor, datetime(2026, 7, 2, tzinfo=UTC)):
            began_s = time.perf_counter()
            came += writer.commit(batch).rows
            seconds += time.perf_counter() - began_s
        written = _written(Path(folder) / "store" / "candles" / "_delta_log", version)
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Measured(seconds, came, SYMBOLS * MINUTES, written, peak_kib * 1024)


def _batches(sessions: int, factor: float, at: datetime) -> Iterator[list[Delivery]]:
    """As the writer's buffer would part them."""
    batch: list[Delivery] = []
    for number in range(SYMBOLS):
        batch.append(_month(number, sessions, factor, at))
        if sum(map(bytes_of, batch)) >= BufferRules().commit_bytes:
            yield batch
            batch = []
    if batch:
        yield batch


def _month(number: int, sessions: int, factor: float, at: datetime) -> Delivery:
    last = FIRST + timedelta(days=sessions - 1)
    chunk = Chunk(f"NSE_EQ|INE{number:09d}", f"S{number}", MINUTE, FIRST, last)
    opens_us = int(
        datetime(FIRST.year, FIRST.month, FIRST.day, 3, 45, tzinfo=UTC).timestamp() * 1e6
    )
    minutes = np.arange(MINUTES)[None, :] + 1440 * np.arange(sessions)[:, None]
    count = minutes.size
    steps = np.random.default_rng(number).normal(0, 1, SYMBOLS * MINUTES)[:count]
    price = np.round(np.exp(np.cumsum(steps) * 1e-3) * 500, 1) * factor
    volume = np.random.default_rng(number).integers(1, 50_000, SYMBOLS * MINUTES)[:count]
    stamps = pa.array(opens_us + minutes.ravel() * 60_000_000).cast(BARS.field("ts").type)
    zeros = np.zeros(count, np.int64)
    bars = pa.table([stamps, price, price + 1, price - 1, price, volume, zeros], schema=BARS)
    receipt = Receipt(
        chunk=chunk, status=Status.STORED, run_id=f"{at:%d}", fetched_at=at, rows=count, attempts=1
    )
    return Delivery(replace(receipt, http_status=200), label_candles(chunk, bars, at))


def _written(log: Path, after: int) -> int:
    """Rows in the files that the commits after this version added."""
    rows = 0
    for path in log.glob("*.json"):
        if path.stem.isdigit() and int(path.stem) > after:
            actions = map(json.loads, path.read_text().splitlines())
            rows += sum(json.loads(a["add"]["stats"])["numRecords"] for a in actions if "add" in a)
    return rows
