"""Candles as the provider writes them, read one by one: exact, and forgiving to good neighbours."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa

from actors.market.candles import BARS
from actors.market.epoch import stamp_us
from actors.upstox.fault import EXCERPT_CHARS

_FIELDS = tuple(BARS.names)
_PRICES = _FIELDS[1:5]
_COUNTS = _FIELDS[5:]
_INT64 = range(-(2**63), 2**63)

#: No market is older, and years beyond these do not fit every reader of the store.
EARLIEST_US = stamp_us(datetime(1900, 1, 1, tzinfo=UTC))
LATEST_US = stamp_us(datetime(2200, 1, 1, tzinfo=UTC))

Misshapen = tuple[tuple[str, str], ...]


class _NoBar(Exception):
    """The row is no bar, and why."""


def read_rows(rows: list[object]) -> tuple[pa.Table, Misshapen]:
    """BARS in the order served, and the rows that are none, each as JSON with the reason."""
    columns: list[list[float]] = [[] for _ in _FIELDS]
    misshapen = []
    for row in rows:
        try:
            values = _read_row(row)
        except _NoBar as reason:
            misshapen.append((json.dumps(row)[:EXCERPT_CHARS], str(reason)))
            continue
        for column, value in zip(columns, values, strict=True):
            column.append(value)
    arrays = [
        pa.array(column, pa.int64() if field.type == BARS.field("ts").type else field.type)
        for column, field in zip(columns, BARS, strict=True)
    ]
    arrays[0] = arrays[0].cast(BARS.field("ts").type)
    return pa.Table.from_arrays(arrays, schema=BARS), tuple(misshapen)


def _read_row(row: object) -> list[float]:
    if not isinstance(row, list):
        raise _NoBar("not a list")
    if len(row) != len(_FIELDS):
        raise _NoBar(f"{len(row)} fields, not {len(_FIELDS)}")
    return [
        _stamp_us(row[0]),
        *(_price(name, value) for name, value in zip(_PRICES, row[1:5], strict=True)),
        *(_count(name, value) for name, value in zip(_COUNTS, row[5:], strict=True)),
    ]


def _stamp_us(value: object) -> int:
    if not isinstance(value, str):
        raise _NoBar("the stamp is no text")
    try:
        stamp = datetime.fromisoformat(value)
    except ValueError:
        raise _NoBar("the stamp is no time") from None
    if stamp.tzinfo is None:
        raise _NoBar("the stamp has no zone")
    found = stamp_us(stamp)
    if not EARLIEST_US <= found < LATEST_US:
        raise _NoBar("the stamp is of another age")
    return found


def _price(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _NoBar(f"{name} is no number")
    try:
        return float(value)
    except OverflowError:
        raise _NoBar(f"{name} is too large") from None


def _count(name: str, value: object) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _NoBar(f"{name} is no whole number")
    if value not in _INT64:
        raise _NoBar(f"{name} is too large")
    return value
