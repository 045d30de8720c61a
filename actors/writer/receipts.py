"""Receipts as rows of a table, and as the few lines a commit carries about them."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from actors.market.candles import TS
from actors.market.chunk import Cause, Chunk, Receipt, Status
from actors.market.timeframe import Timeframe

if TYPE_CHECKING:
    from collections.abc import Sequence


def _field(name: str, kind: pa.DataType, meaning: str, *, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"meaning": meaning})


RECEIPTS = pa.schema(
    [
        _field("chunk_id", pa.string(), "names the chunk in every run alike"),
        _field("instrument_key", pa.string(), "the provider's name of the instrument"),
        _field("symbol", pa.string(), "the exchange's trading symbol"),
        _field("timeframe", pa.string(), "length of the bars asked for"),
        _field("first", pa.date32(), "first day asked for, IST"),
        _field("last", pa.date32(), "last day asked for, IST, included"),
        _field("status", pa.string(), "stored, empty or failed"),
        _field("rows", pa.int64(), "candles kept"),
        _field("quarantined", pa.int64(), "candles of the answer put aside as insane"),
        _field("final", pa.bool_(), "false if some day had not settled when it was fetched"),
        _field("attempts", pa.int64(), "requests sent for it in its run"),
        _field("http_status", pa.int64(), "of the last answer", nullable=True),
        _field("cause", pa.string(), "of a failure", nullable=True),
        _field("error_code", pa.string(), "the provider's", nullable=True),
        _field("error", pa.string(), "of a failure, in words", nullable=True),
        _field("body_bytes", pa.int64(), "of the last answer, as received"),
        _field("seconds", pa.float64(), "the last request's, from sending to the last byte"),
        _field("run_id", pa.string(), "run that asked"),
        _field("fetched_at", TS, "when the last answer was complete"),
        _field("revised", pa.int64(), "final candles that the answer has changed", nullable=True),
        _field("ratio", pa.float64(), "of the changed: new close to old, median", nullable=True),
        _field(
            "outdates",
            TS,
            "the provider has rewritten what it served of the instrument up to then",
            nullable=True,
        ),
        _field(
            "candles_version",
            pa.int64(),
            "version of the candles table that holds the rows",
            nullable=True,
        ),
    ]
)

#: What a receipt is about; the chunk's id in columns.
SPAN = ("instrument_key", "timeframe", "first", "last")

_SAME = (
    *("rows", "quarantined", "final", "attempts", "http_status", "error_code", "error"),
    *("body_bytes", "seconds", "run_id", "fetched_at", "ratio", "outdates"),
)

#: What a commit carries is the row without the version, which the commit itself decides.
_CARRIED = [name for name in RECEIPTS.names if name != "candles_version"]
_TEMPORAL = [name for name in _CARRIED if pa.types.is_temporal(RECEIPTS.field(name).type)]


def receipts_table(receipts: Sequence[Receipt], candles_version: int | None = None) -> pa.Table:
    """Receipts as RECEIPTS; `candles_version` is where the rows of all of them stand."""
    rows = [_row(receipt) for receipt in receipts]
    return _table({name: [row[name] for row in rows] for name in _CARRIED}, candles_version)


def carried(receipts: Sequence[Receipt]) -> dict[str, list[Any]]:
    """The same, column by column, in what JSON knows."""
    rows = [_row(receipt) for receipt in receipts]
    columns = {name: [row[name] for row in rows] for name in _CARRIED}
    for name in _TEMPORAL:
        columns[name] = [moment and moment.isoformat() for moment in columns[name]]
    return columns


def from_carried(columns: dict[str, list[Any]], candles_version: int) -> pa.Table:
    """RECEIPTS again from what the commit `candles_version` carried."""
    unknown = [None] * len(columns["chunk_id"])  # to whoever wrote before there were such columns
    read = {name: columns.get(name, unknown) for name in _CARRIED}
    for name in ("first", "last"):
        read[name] = [date.fromisoformat(text) for text in columns[name]]
    for name in ("fetched_at", "outdates"):
        read[name] = [text and datetime.fromisoformat(text) for text in read[name]]
    return _table(read, candles_version)


def as_receipts(table: pa.Table) -> list[Receipt]:
    """Rows of RECEIPTS as receipts again."""
    return [
        Receipt(
            chunk=Chunk(
                row["instrument_key"],
                row["symbol"],
                Timeframe.parse(row["timeframe"]),
                row["first"],
                row["last"],
            ),
            status=Status(row["status"]),
            cause=None if row["cause"] is None else Cause(row["cause"]),
            revised=row["revised"] or 0,
            **{name: row[name] for name in _SAME},
        )
        for row in table.to_pylist()
    ]


def _row(receipt: Receipt) -> dict[str, Any]:
    chunk = receipt.chunk
    return {
        "chunk_id": chunk.id,
        "instrument_key": chunk.instrument_key,
        "symbol": chunk.symbol,
        "timeframe": chunk.timeframe.label,
        "first": chunk.first,
        "last": chunk.last,
        "status": str(receipt.status),
        "cause": None if receipt.cause is None else str(receipt.cause),
        "revised": receipt.revised,
        **{name: getattr(receipt, name) for name in _SAME},
    }


def _table(columns: dict[str, list[Any]], candles_version: int | None) -> pa.Table:
    rows = len(columns["chunk_id"])
    return pa.table(columns | {"candles_version": [candles_version] * rows}, schema=RECEIPTS)
