"""Replies made into deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pyarrow as pa

from actors.market.candles import QUARANTINE, Delivery, label_candles
from actors.market.chunk import Cause, Chunk, Receipt, Status
from actors.market.sanity import inspect
from actors.market.sessions import opening_minute, settled_at
from actors.upstox.reply import Answer, Refused


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


def poisoned(chunk: Chunk, crashes: int, run_id: str, now: datetime) -> Delivery:
    """A dead letter for a chunk that keeps taking its fetcher down."""
    reply = Refused(cause=Cause.POISON, message=f"{crashes} fetchers died while fetching it")
    return failed(chunk, reply, crashes, run_id, now)


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
