"""The shapes candles travel in.

BARS      what one answer holds: seven columns, ascending `ts`, no instrument named.
CANDLES   what the store holds: BARS with the instrument, the timeframe and the partition beside them.
QUARANTINE  rows put aside, as they came, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from actors.market.chunk import Chunk, Receipt
from actors.market.sessions import IST_SHIFT_US, settled_at


def _field(name: str, kind: pa.DataType, meaning: str) -> pa.Field:
    return pa.field(name, kind, nullable=False, metadata={"meaning": meaning})


TS = pa.timestamp("us", tz="UTC")

_BAR_FIELDS = [
    _field("ts", TS, "start of the bar; a daily bar starts at 00:00 IST of its day"),
    _field("open", pa.float64(), "first traded price, rupees per unit"),
    _field("high", pa.float64(), "highest traded price, rupees per unit"),
    _field("low", pa.float64(), "lowest traded price, rupees per unit"),
    _field("close", pa.float64(), "last traded price, rupees per unit"),
    _field("volume", pa.int64(), "units traded in the bar; 0 for an index"),
    _field(
        "oi", pa.int64(), "open interest at the end of the bar, contracts; 0 for shares and indices"
    ),
]
BARS = pa.schema(_BAR_FIELDS)

CANDLES = pa.schema(
    [
        _field("instrument_key", pa.string(), "the provider's name of the instrument"),
        _field("symbol", pa.string(), "the exchange's trading symbol"),
        _field("timeframe", pa.string(), "length of the bar, such as 5minute or 1day"),
        _field("period", pa.string(), "partition: YYYY-MM below a day, YYYY from a day up"),
        _field("date", pa.date32(), "trading day in India (IST)"),
        *_BAR_FIELDS,
        _field("final", pa.bool_(), "false while the bar may still change"),
    ]
)

QUARANTINE = pa.schema(
    [
        _field("chunk_id", pa.string(), "chunk whose answer held the row"),
        _field("instrument_key", pa.string(), "the provider's name of the instrument"),
        _field("symbol", pa.string(), "the exchange's trading symbol"),
        _field("timeframe", pa.string(), "length of the bar"),
        _field("row", pa.string(), "the row as it came, JSON"),
        _field("reason", pa.string(), "why it was put aside"),
        _field("run_id", pa.string(), "run that fetched it"),
        _field("fetched_at", TS, "when it was fetched"),
    ]
)

_IST_SHIFT = pa.scalar(IST_SHIFT_US, pa.duration("us"))


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a fetcher brings the writer for one chunk: the receipt, and the rows it speaks of."""

    receipt: Receipt
    candles: pa.Table | None = None  # CANDLES; None unless the receipt says stored
    quarantine: pa.Table | None = None  # QUARANTINE; None where every row was sane


def ist_dates(ts: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """The IST calendar day (date32) of each UTC stamp."""
    return pc.add(ts, _IST_SHIFT).cast(pa.date32())


def label_candles(chunk: Chunk, bars: pa.Table, fetched_at: datetime) -> pa.Table:
    """BARS of a chunk as CANDLES. A row is final if its bar had settled when it was fetched."""
    dates = ist_dates(bars["ts"])
    unique_days = pc.unique(dates)
    periods = pa.array([chunk.timeframe.period(d.as_py()) for d in unique_days], pa.string())
    finals = pa.array(
        [settled_at(chunk.timeframe, d.as_py()) <= fetched_at for d in unique_days], pa.bool_()
    )
    place = pc.index_in(dates, unique_days)
    rows = len(bars)
    columns = {
        "instrument_key": pa.repeat(chunk.instrument_key, rows),
        "symbol": pa.repeat(chunk.symbol, rows),
        "timeframe": pa.repeat(chunk.timeframe.label, rows),
        "period": periods.take(place),
        "date": dates,
        **{name: bars[name] for name in BARS.names},
        "final": finals.take(place),
    }
    return pa.table([columns[name] for name in CANDLES.names], schema=CANDLES)
