"""`from cluster import Store`, as a notebook uses it."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

import actors.writer.reading
import cluster
from actors.market.candles import BARS, Delivery, label_candles
from actors.market.chunk import Chunk, Receipt, Status
from actors.market.sessions import IST
from actors.market.timeframe import Timeframe
from actors.writer.store import StoreWriter

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
HEAVY = ("pyarrow", "deltalake", "pandas", "numpy", "ray", "pydantic", "duckdb", "polars")


def test_it_is_the_store_that_all_else_reads_with() -> None:
    assert cluster.Store is actors.writer.reading.Store
    assert cluster.Candles is actors.writer.reading.Candles
    assert not hasattr(cluster, "Shop")


def test_importing_it_loads_nothing_heavy_until_it_is_used() -> None:
    look = f"print([name for name in {HEAVY} if name in sys.modules])"
    code = f"import sys, cluster; {look}; from cluster import Store; {look}"
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    before, after = told.stdout.splitlines()
    assert before == "[]"
    assert "pyarrow" in after
    assert not {"ray", "pydantic", "duckdb", "polars"} & set(re.findall(r"\w+", after))


def delivery(symbol: str, timeframe: Timeframe) -> Delivery:
    chunk = Chunk(f"NSE_EQ|{symbol}", symbol, timeframe, date(2024, 1, 1), date(2024, 1, 31))
    days = [datetime(2024, 1, day, tzinfo=IST) for day in range(1, 32)]
    starts = [day + timedelta(minutes=555) for day in days] if timeframe.is_intraday else days
    prices, counts = [100.0] * len(starts), [7] * len(starts)
    bars = pa.table([starts, prices, prices, prices, prices, counts, counts], schema=BARS)
    at = datetime(2024, 6, 1, tzinfo=UTC)
    rows = len(starts)
    receipt = Receipt(chunk=chunk, status=Status.STORED, run_id="r", fetched_at=at, rows=rows)
    return Delivery(receipt, label_candles(chunk, bars, at))


def test_the_readme_reads_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its Python, run in its order, on a store of that name."""
    monkeypatch.chdir(tmp_path)
    timeframes = [Timeframe.parse(label) for label in ("1day", "5minute")]
    writer = StoreWriter("data/nifty50")
    writer.commit([delivery(symbol, each) for symbol in ("SBIN", "INFY") for each in timeframes])
    section = README[README.index("## Reading the data") :]
    blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len(blocks) == 3
    seen: dict[str, object] = {}
    exec(compile("\n".join(blocks), "README.md", "exec"), seen)
    frame, load = seen["frame"], seen["load_symbol_data"]
    assert len(frame) == 2 * 17  # type: ignore[arg-type]
    assert [*load("SBIN")] == ["1day", "5minute"]  # type: ignore[operator]
    day = load("SBIN", "1day")  # type: ignore[operator]
    assert str(day.index[0]) == "2024-01-01 00:00:00+05:30"
    assert len(day) == 31
