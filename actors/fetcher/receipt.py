"""Replies made into deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from actors.market.candles import QUARANTINE, TS, Delivery, ist_dates, label_candles
from actors.market.chunk import Cause, Chunk, Receipt, Status
from actors.market.sanity import inspect
from actors.market.sessions import opening_minute, settled_at
from actors.upstox.reply import Answer, Refused

#: Of 42 bars of 5 minutes, 2 still changed after their end, up to 31 s (2026-09, one session observed).
CHANGES_FOR = timedelta(seconds=60)
_DAY = timedelta(days=1)


def fetched(chunk: Chunk, answer: Answer, attempt: int, run_id: str, now: datetime) -> Delivery:
    """The sane rows as candles, the others put aside, and a receipt that counts both."""
    inspection = inspect(
        answer.bars, chunk.timeframe, chunk.first, chunk.last, opening_minute(chunk.segment)
    )
    good, bad = inspection.good, [*answer.misshapen, *inspection.bad]
    receipt = Receipt(
        chunk=chunk,
        status=Status.STORED if good.num_rows else Status.EMPTY,
        run_id=run_id,
        fetched_at=now,
        rows=good.num_rows,
        quarantined=len(bad),
        final=settled_at(chunk.timeframe, chunk.last) <= now,
        attempts=attempt,
        http_status=answer.http_status,
        body_bytes=answer.body_bytes,
        seconds=answer.seconds,
    )
    if bad and not good.num_rows:
        # Rows came, so these days are not empty; but none of them can be believed.
        receipt = replace(
            receipt,
            status=Status.FAILED,
            cause=Cause.BAD_BODY,
            error=f"none of {len(bad)} rows is sane; the first: {bad[0][1]}",
        )
    return Delivery(
        receipt,
        candles=label_candles(chunk, good, now) if good.num_rows else None,
        quarantine=_put_aside(receipt, bad) if bad else None,
    )


def of_the_day(chunk: Chunk, answer: Answer, now: datetime, *, forming: bool) -> Answer:
    """An answer about the running day, less what is not of it, and less bars that are not over.

    On a closed day the provider may serve the last session's bars. Before a bar has been over for
    CHANGES_FOR it may change; a short last bar is kept once a whole one would be over. With `forming`
    such bars are kept.
    """
    bars = answer.bars
    wanted = pc.equal(ist_dates(bars["ts"]), pa.scalar(chunk.first, pa.date32()))
    if not forming:
        length = timedelta(minutes=chunk.timeframe.minutes) if chunk.timeframe.is_intraday else _DAY
        over = pc.less_equal(bars["ts"], pa.scalar(now - length - CHANGES_FOR, TS))
        wanted = pc.and_(wanted, over)
    return replace(answer, bars=bars.filter(wanted))


def failed(chunk: Chunk, reply: Refused, attempt: int, run_id: str, now: datetime) -> Delivery:
    """A dead letter."""
    return Delivery(
        Receipt(
            chunk=chunk,
            status=Status.FAILED,
            run_id=run_id,
            fetched_at=now,
            final=False,
            attempts=attempt,
            http_status=reply.http_status,
            cause=reply.cause,
            error_code=reply.error_code,
            error=reply.message,
            body_bytes=reply.body_bytes,
            seconds=reply.seconds,
        )
    )


def _put_aside(receipt: Receipt, bad: Sequence[tuple[str, str]]) -> pa.Table:
    chunk = receipt.chunk
    return pa.Table.from_pylist(
        [
            {
                "chunk_id": chunk.id,
                "instrument_key": chunk.instrument_key,
                "symbol": chunk.symbol,
                "timeframe": chunk.timeframe.label,
                "row": row,
                "reason": reason,
                "run_id": receipt.run_id,
                "fetched_at": receipt.fetched_at,
            }
            for row, reason in bad
        ],
        schema=QUARANTINE,
    )
