"""What a store must hold after a run, asked of the look-alike's market directly."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import pyarrow as pa
from deltalake import DeltaTable

from cluster.lookalike.instruments import known_instruments
from cluster.lookalike.market import Market
from cluster.lookalike.split import Split
from tests.benchmarks.meter import Failed

Days = tuple[date, date]  # both included


def liquid(count: int, days: Days, sessions: int) -> list[str]:
    """Shares with a daily bar on so many of the days at least."""
    market, found = Market(0), list[str]()
    for key, record in known_instruments().items():
        if record["segment"] != "NSE_EQ" or record["instrument_type"] != "EQ":
            continue
        if len(market.candles(key, "days", 1, *days).ts) >= sessions:
            found.append(key)
        if len(found) == count:
            return found
    raise Failed("the look-alike has too few shares")


def same_as_the_market(
    candles: str,
    keys: list[str],
    minutes: int,
    days: Days,
    splits: Mapping[str, Split] | None = None,
) -> int:
    """Rows of the table, all of them bars of so many minutes; each the market's, and none lacks."""
    table = DeltaTable(candles)
    market, total = Market(0, dict(splits or {})), 0
    for key in keys:
        predicate = f"instrument_key = '{key}'"
        columns = ["ts", "open", "high", "low", "close", "volume", "oi"]
        rows = pa.table(table.scan(columns=columns, predicate=predicate)).sort_by("ts")
        truth = market.candles(key, "minutes", minutes, *days)
        stamps = rows["ts"].cast(pa.int64()).to_numpy() // 1_000_000
        for name, expected in zip(truth._fields, truth, strict=True):
            found = stamps if name == "ts" else rows[name].to_numpy()
            if found.tolist() != expected.tolist():
                raise Failed(f"{key}: {name} is not the market's")
        total += rows.num_rows
    return total
