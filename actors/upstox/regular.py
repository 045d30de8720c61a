"""The fast way from a body to BARS: Arrow's CSV reader on the text between the brackets.

It is only right where the text is perfectly regular, so a regular expression sees to that first.
Both together take a fifth of the time of the way by JSON.
"""

from __future__ import annotations

import json
import re
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv

from actors.market.candles import BARS
from actors.upstox.rows import EARLIEST_US, LATEST_US

# Possessive repeats do not look back, which saves a fifth of the time; before Python 3.11.5 they fail
# on what they should match (CPython issue 106052). Either way nothing can match the same bytes in two
# ways, so a body that does not fit is found out in linear time.
_KEEP = rb"+" if sys.version_info >= (3, 11, 5) else rb""
# JSON's own grammar of numbers, less signs and exponents, which candles have no need of.
_WHOLE = rb"(?:0|[1-9][0-9]*" + _KEEP + rb")"
_PRICE = rb"," + _WHOLE + rb"(?:\.[0-9]+" + _KEEP + rb")?" + _KEEP
_STAMP = rb'"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\+05:30"'
_ROW = _STAMP + rb"(?:" + _PRICE + rb"){4}," + _WHOLE + rb"," + _WHOLE
_ROWS = re.compile(rb"(?:" + _ROW + rb"\],\[)*" + _KEEP + _ROW)

_EMPTY = {"status": "success", "data": {"candles": []}}
_MAX_ENVELOPE_BYTES = 512

_CONVERT = pa.csv.ConvertOptions(
    column_types={field.name: field.type for field in BARS},
    null_values=[],
    timestamp_parsers=[pa.csv.ISO8601],
)
_PARSE = pa.csv.ParseOptions(double_quote=False)


def read_regular(body: bytes) -> pa.Table | None:
    """BARS in the order served; None unless the body is perfectly regular."""
    start, end = body.find(b"[["), body.rfind(b"]]")
    if not 0 <= start < end or not _holds_candles(body[:start], body[end + 2 :]):
        return None
    if _ROWS.fullmatch(body, start + 2, end) is None:
        return None
    bars = _parse(body[start + 2 : end].replace(b"],[", b"\n"))
    return bars if bars is not None and _plausible(bars) else None


def _holds_candles(head: bytes, tail: bytes) -> bool:
    """Whether what stands between the two is the list of candles, and nothing stands beside it."""
    envelope = head + b"[]" + tail
    if len(envelope) > _MAX_ENVELOPE_BYTES or envelope.count(b"[") != 1:
        return False
    try:
        return bool(json.loads(envelope.decode("utf-8")) == _EMPTY)
    except ValueError:
        return False


def _parse(lines: bytes) -> pa.Table | None:
    reading = pa.csv.ReadOptions(
        column_names=BARS.names, use_threads=False, block_size=len(lines) + 1
    )
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(lines),
            read_options=reading,
            parse_options=_PARSE,
            convert_options=_CONVERT,
        )
    except pa.ArrowInvalid:  # such as February 30th, or a volume beyond 64 bits
        return None
    return pa.Table.from_arrays(table.columns, schema=BARS)


def _plausible(bars: pa.Table) -> bool:
    ts = bars["ts"].to_numpy().view(np.int64)
    return bool(
        ts.min() >= EARLIEST_US
        and ts.max() < LATEST_US
        # Digits without end are read as infinity; the other way knows what to do with them.
        and all(np.isfinite(bars[name].to_numpy()).all() for name in BARS.names[1:5])
    )
