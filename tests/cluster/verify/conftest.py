"""Stores filled from the look-alike's market, with holes where a test wants them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from actors.market.candles import BARS, Delivery, label_candles
from actors.market.chunk import Cause, Chunk, Receipt, Status
from actors.market.instrument import Instrument
from actors.market.session_days import REFERENCE
from actors.market.timeframe import Timeframe
from actors.writer.store import StoreWriter
from cluster.lookalike.market import Market
from cluster.plan import Want

FIRST, LAST = date(2023, 10, 2), date(2024, 3, 31)  # a Diwali Sunday, two Saturdays in session
NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
UNITS = {"1day": ("days", 1), "5minute": ("minutes", 5), "1week": ("weeks", 1)}
MINUTE = {"1minute": ("minutes", 1)}
SBIN, RELIANCE, INFY = "NSE_EQ|INE062A01020", "NSE_EQ|INE002A01018", "NSE_EQ|INE009A01021"
CIPLA, GRASIM = "NSE_EQ|INE059A01026", "NSE_EQ|INE047A01021"  # thin: days without any trade
LATE_THIN, LATE = "NSE_EQ|INE0XIL01012", "NSE_EQ|INE900B01029"  # since Nov 9, since Jan 9
BSE, FUTURE = "BSE_EQ|INE002A01018", "NSE_COM|121789"
KEYS = (SBIN, RELIANCE, INFY, CIPLA, GRASIM, LATE_THIN, LATE, BSE, REFERENCE)

MARKET = Market(0)


def wants(keys=KEYS, labels=("1day", "5minute", "1week"), first=FIRST, last=LAST):
    return [
        Want(Instrument(key, key, "", "", ""), Timeframe.parse(label), first, last)
        for key in keys
        for label in labels
    ]


@dataclass
class Filling:
    """What is put into a store; by chunk, what goes otherwise than it should."""

    instead: dict[tuple[str, str, date], object] = field(default_factory=dict)

    def deliveries(self, keys=KEYS, labels=tuple(UNITS)) -> Iterator[Delivery]:
        for key in keys:
            for label in labels:
                for first, last in [(FIRST, LAST)] if label != "5minute" else months():
                    chunk = Chunk(key, key, Timeframe.parse(label), first, last)
                    way = self.instead.get((key, label, first))
                    if way != "skip":
                        yield delivery(chunk, way)


def months() -> list[tuple[date, date]]:
    firsts = [FIRST, date(2023, 11, 1), date(2023, 12, 1)]
    firsts += [date(2024, 1, 1), date(2024, 2, 1), date(2024, 3, 1), date(2024, 4, 1)]
    return [(a, b - timedelta(days=1)) for a, b in pairwise(firsts)]


def delivery(chunk: Chunk, way: object = None, at: datetime = NOW - timedelta(days=1)) -> Delivery:
    """The market's answer to a chunk; or a failure, an empty answer, one without certain days."""
    if way == "fail":
        return Delivery(_receipt(chunk, Status.FAILED, at, cause=Cause.TIMEOUT, error="too slow"))
    if isinstance(way, datetime):
        at = way
    candles = MARKET.candles(
        chunk.instrument_key, *(UNITS | MINUTE)[chunk.timeframe.label], chunk.first, chunk.last
    )
    stamps = pa.array(candles.ts * 1_000_000).cast(pa.timestamp("us", tz="UTC"))
    bars = pa.table([stamps, *map(pa.array, candles[1:])], schema=BARS)
    rows = label_candles(chunk, bars, at)
    if isinstance(way, list):
        rows = rows.filter(pc.invert(pc.is_in(rows["date"], pa.array(way, pa.date32()))))
    if way == "empty" or not rows.num_rows:
        return Delivery(_receipt(chunk, Status.EMPTY, at))
    return Delivery(_receipt(chunk, Status.STORED, at, rows=rows.num_rows), rows)


def _receipt(chunk: Chunk, status: Status, at: datetime, **facts: object) -> Receipt:
    return Receipt(chunk=chunk, status=status, run_id="run", fetched_at=at, attempts=1, **facts)  # type: ignore[arg-type]


def fill(uri: str, filling: Filling, **only: object) -> str:
    StoreWriter(uri).commit(list(filling.deliveries(**only)))
    return uri


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> str:
    return fill(str(tmp_path_factory.mktemp("whole") / "store"), Filling())
