"""The body of an answer with HTTP 200 made into BARS. No I/O."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from actors.market.candles import BARS
from actors.market.chunk import Cause
from actors.market.epoch import US_A_DAY
from actors.market.sanity import Mask, Stamps, row_text, stamps
from actors.market.sessions import IST_SHIFT_US
from actors.market.timeframe import Timeframe
from actors.upstox.fault import Fault, excerpt, fault_in_envelope
from actors.upstox.regular import read_regular
from actors.upstox.rows import Misshapen, read_rows


@dataclass(frozen=True, slots=True)
class Decoded:
    bars: pa.Table  # BARS, ascending `ts`, each `ts` once
    misshapen: Misshapen = ()  # rows that are no bar: as JSON, with the reason


def decode(body: bytes, timeframe: Timeframe) -> Decoded | Fault:
    """Read the candles, however odd some may be; a Fault if the body as a whole is no answer."""
    bars = read_regular(body)
    if bars is not None:
        return _arrange(bars, (), timeframe)
    try:
        return _decode_json(body, timeframe)
    except (ValueError, RecursionError):  # no UTF-8, no JSON, or nested without end
        return Fault(Cause.BAD_BODY, f"the answer is no JSON: {excerpt(body)}")


def _decode_json(body: bytes, timeframe: Timeframe) -> Decoded | Fault:
    envelope = json.loads(body.decode("utf-8"))
    if not isinstance(envelope, dict):
        return Fault(Cause.BAD_BODY, "the answer is no JSON object")
    if envelope.get("status") == "error":
        return fault_in_envelope(envelope)
    if envelope.get("status") != "success":
        return Fault(Cause.BAD_BODY, "the answer's status is neither success nor error")
    data = envelope.get("data")
    candles = data.get("candles") if isinstance(data, dict) else None
    if not isinstance(candles, list):
        return Fault(Cause.BAD_BODY, "the answer has no list of candles")
    return _arrange(*read_rows(candles), timeframe)


def _arrange(bars: pa.Table, misshapen: Misshapen, timeframe: Timeframe) -> Decoded:
    """Put the bars in order of time, each stamp once."""
    ts = stamps(bars)
    if not timeframe.is_intraday:
        # Some daily bars carry a time, 09:45 on a day of listing; only their IST date counts.
        ts = ts - (ts + IST_SHIFT_US) % US_A_DAY
        bars = bars.set_column(0, BARS.field("ts"), pa.array(ts).cast(BARS.field("ts").type))
    if (ts[:-1] > ts[1:]).all():  # newest first, the provider's habit
        return Decoded(_in_order(bars, np.arange(len(ts) - 1, -1, -1)), misshapen)
    order = np.argsort(ts, kind="stable")
    bars, ts = _in_order(bars, order), ts[order]
    again = np.concatenate(([False], ts[1:] == ts[:-1]))
    if not again.any():
        return Decoded(bars, misshapen)
    disputed = _differing(bars, ts, again)
    put_aside = tuple(
        (row_text(bars, int(i)), "differs from an earlier row of the same stamp")
        for i in np.flatnonzero(disputed)
    )
    return Decoded(bars.filter(pa.array(~again)), (*misshapen, *put_aside))


def _in_order(bars: pa.Table, order: Stamps) -> pa.Table:
    columns = [
        pa.array(stamps(bars)[order]).cast(BARS.field("ts").type),
        *(pa.array(bars[name].to_numpy()[order]) for name in BARS.names[1:]),
    ]
    return pa.Table.from_arrays(columns, schema=BARS)


def _differing(bars: pa.Table, ts: Stamps, again: Mask) -> Mask:
    """Tell which repeats have other values than the row of their stamp that was served first."""
    firsts = np.flatnonzero(~again)
    kept = firsts[np.cumsum(~again) - 1]
    differing = np.zeros(len(ts), dtype=bool)
    for name in BARS.names[1:]:
        values = bars[name].to_numpy()
        both_nan = np.isnan(values) & np.isnan(values[kept])
        differing |= (values != values[kept]) & ~both_nan
    return differing
