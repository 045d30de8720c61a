"""Stores to ask: bars of a few instruments, with receipts that tell what became of their days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa

from actors.market.candles import BARS, Delivery, label_candles
from actors.market.chunk import Cause, Chunk, Receipt, Status
from actors.market.timeframe import Timeframe
from actors.writer.store import StoreWriter
from tests.cluster.screen.market import DAY, stamps

LONG_AFTER = datetime(2026, 6, 1, tzinfo=UTC)


def key_of(symbol: str) -> str:
    """Keys do not sort as symbols do, as with ISINs."""
    return f"NSE_EQ|{symbol[::-1]}"


def stored(
    symbol: str,
    prices: dict[str, np.ndarray],
    days: Sequence[date],
    timeframe: Timeframe = DAY,
    *,
    at: datetime = LONG_AFTER,
) -> Delivery:
    """The bars of these days, of which the first and last are what was asked for."""
    chunk = Chunk(key_of(symbol), symbol, timeframe, days[0], days[-1])
    when = stamps(timeframe, list(days))
    columns = {"ts": when} | {name: values[: len(when)] for name, values in prices.items()}
    bars = pa.table(
        {name: pa.array(columns[name]).cast(BARS.field(name).type) for name in BARS.names}
    )
    receipt = Receipt(chunk=chunk, status=Status.STORED, run_id="r", fetched_at=at, rows=len(when))
    return Delivery(receipt, label_candles(chunk, bars.cast(BARS), at))


def told(
    symbol: str, first: date, last: date, status: Status, timeframe: Timeframe = DAY
) -> Delivery:
    """An answer without bars."""
    cause = Cause.TIMEOUT if status is Status.FAILED else None
    chunk = Chunk(key_of(symbol), symbol, timeframe, first, last)
    return Delivery(
        Receipt(chunk=chunk, status=status, run_id="r", fetched_at=LONG_AFTER, cause=cause)
    )


def write(uri: str, deliveries: Sequence[Delivery]) -> None:
    StoreWriter(uri).commit(deliveries)
