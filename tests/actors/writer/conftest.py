"""Deliveries to write, and a naive look at what was written."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from actors.market.candles import BARS, QUARANTINE, Delivery, label_candles
from actors.market.chunk import Cause, Chunk, Receipt, Status
from actors.market.sessions import IST
from actors.market.timeframe import Timeframe

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)


class Kit:
    """Makes deliveries whose bars all carry one price, by which they can be told apart."""

    def __init__(self) -> None:
        self._clock = NOON

    def chunk(self, key: str, first: date, last: date, timeframe: str = "1day") -> Chunk:
        return Chunk(key, key.partition("|")[2], Timeframe.parse(timeframe), first, last)

    def days(self, chunk: Chunk) -> list[date]:
        """Every day of the chunk's span that labels a bar."""
        span = (chunk.last - chunk.first).days + 1
        days = (chunk.first + timedelta(days=n) for n in range(span))
        return [day for day in days if chunk.timeframe.bar_days(day)[0] == day]

    def stored(
        self,
        chunk: Chunk,
        price: float = 100.0,
        *,
        days: list[date] | None = None,
        run_id: str = "run",
        bars_a_day: int = 2,
    ) -> Delivery:
        days = self.days(chunk) if days is None else days
        minutes = [555 + n * 5 for n in range(bars_a_day)] if chunk.timeframe.is_intraday else [0]
        stamps = [
            datetime(day.year, day.month, day.day, tzinfo=IST) + timedelta(minutes=minute)
            for day in days
            for minute in minutes
        ]
        prices, count = [price] * len(stamps), [7] * len(stamps)
        bars = pa.table([stamps, prices, prices, prices, prices, count, count], schema=BARS)
        at = self._now()
        return Delivery(
            self.receipt(chunk, Status.STORED, rows=len(stamps), run_id=run_id, fetched_at=at),
            label_candles(chunk, bars, at),
        )

    def empty(self, chunk: Chunk, run_id: str = "run") -> Delivery:
        return Delivery(self.receipt(chunk, Status.EMPTY, run_id=run_id))

    def failed(self, chunk: Chunk, run_id: str = "run") -> Delivery:
        receipt = self.receipt(
            chunk,
            Status.FAILED,
            run_id=run_id,
            cause=Cause.TIMEOUT,
            error='it\'s "over"; no answer: ü',
        )
        return Delivery(receipt)

    def receipt(self, chunk: Chunk, status: Status, **facts: object) -> Receipt:
        facts = {
            "run_id": "run",
            "fetched_at": self._now(),
            "attempts": 1,
            "http_status": 200,
        } | facts
        return Receipt(chunk=chunk, status=status, **facts)  # type: ignore[arg-type]

    def quarantine(self, delivery: Delivery, reason: str = "high below low") -> Delivery:
        receipt = delivery.receipt
        chunk = receipt.chunk
        row = [chunk.id, chunk.instrument_key, chunk.symbol, chunk.timeframe.label, "[1]", reason]
        columns = [[value] for value in (*row, receipt.run_id, receipt.fetched_at)]
        return Delivery(receipt, delivery.candles, pa.table(columns, schema=QUARANTINE))

    def _now(self) -> datetime:
        self._clock += timedelta(microseconds=1)
        return self._clock

    def rows(self, uri: str, version: int | None = None) -> list[tuple[str, str, datetime, float]]:
        """Every candle of a version, read without any of our code, as often as it stands there."""
        columns = ["instrument_key", "timeframe", "ts", "close"]
        table = pa.table(DeltaTable(f"{uri}/candles", version=version).scan(columns=columns))
        return list(zip(*(table[name].to_pylist() for name in columns), strict=True))

    def receipts(self, uri: str) -> list[tuple[str, str, str]]:
        """Every receipt, likewise."""
        columns = ["chunk_id", "run_id", "status"]
        table = pa.table(DeltaTable(f"{uri}/chunks").scan(columns=columns))
        return sorted(zip(*(table[name].to_pylist() for name in columns), strict=True))


@pytest.fixture(scope="session")
def kit() -> Kit:
    return Kit()


@pytest.fixture
def uri(tmp_path) -> str:
    """A store that does not exist yet, at an awkward path."""
    return str(tmp_path / "a store's 1st (é)")
