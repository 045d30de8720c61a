"""What an answer says nothing of, although it stands. Pure.

One answer that lacks what an earlier one had may be cut, late or garbled, or come of an outage; and so
may the next ones, to whoever tries again at once. So the bars stay, no longer as final, and the chunk has
failed, until an answer brings them, or one of another day and some hours later lacks them too.

So it is with bars of a history that was rewritten meanwhile: until then they stand as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa

from actors.market.candles import BARS, Delivery, label_candles
from actors.market.chunk import Cause, Receipt, Status
from actors.market.epoch import day_of
from actors.market.sessions import ist_date, settled_at
from actors.writer.difference import Mask, Rows, rows_of
from actors.writer.occupied import extent, series

_NEVER = datetime.fromtimestamp(0, UTC)  # nothing had settled then
_PASSES_IN = timedelta(hours=6)  # an outage, whatever midnight lies in it
_NAMED_DAYS = 3


def cautious(
    deliveries: Sequence[Delivery],
    standing: Iterable[Rows],
    told_of: Callable[[Collection[str]], list[Receipt]],
) -> list[Delivery]:
    """The deliveries, with what stands on their days and must not go by their word alone.

    Their receipts count, as revised, the bars that go by their word and an earlier one's. `told_of`
    finds the receipts of some instruments.
    """
    pairs = [(d, left_out(old, d)) for d, old in zip(deliveries, standing, strict=True)]
    earlier = told_of({d.receipt.chunk.instrument_key for d, left in pairs if len(left["ts"])})
    return [_judged(delivery, left, earlier) for delivery, left in pairs]


def left_out(old: Rows, delivery: Delivery) -> Rows:
    """The bars of settled days that stand, and of which the answer says nothing.

    What was computed here says all there is to say.
    """
    receipt, new = delivery.receipt, rows_of(delivery.candles)
    silent = ~np.isin(old["ts"], new["ts"])
    if not silent.any() or not receipt.attempts:
        return _only(old, np.zeros(len(old["ts"]), np.bool_))
    timeframe, days = receipt.chunk.timeframe, np.unique(old["date"][silent])
    settled = [settled_at(timeframe, day_of(day)) <= receipt.fetched_at for day in days]
    return _only(old, silent & np.isin(old["date"], days[settled]))


def doubted_since(day: date, told: Collection[Receipt]) -> datetime | None:
    """When an answer first lacked bars of the day, since the last one that lacked none; None: none did.

    `told` are receipts of one series.
    """
    mine = [r for r in told if _covers(r, day)]
    whole = max((r.fetched_at for r in mine if r.status is not Status.FAILED), default=_NEVER)
    lacked = (r.fetched_at for r in mine if r.cause is Cause.VANISHED and _speaks_of(r, day))
    return min((at for at in lacked if at > whole), default=None)


def _covers(receipt: Receipt, day: date) -> bool:
    first, last = extent(receipt.chunk)
    return first <= day <= last


def _speaks_of(receipt: Receipt, day: date) -> bool:
    """Whether it is of an answer, and of one that came once the day had settled."""
    return receipt.attempts > 0 and settled_at(receipt.chunk.timeframe, day) <= receipt.fetched_at


def _is_second(at: datetime, first_at: datetime) -> bool:
    return ist_date(first_at) < ist_date(at) and at - first_at >= _PASSES_IN


def _judged(delivery: Delivery, left: Rows, earlier: Iterable[Receipt]) -> Delivery:
    receipt = delivery.receipt
    told = [other for other in earlier if series(other.chunk) == series(receipt.chunk)]
    days, place = np.unique(left["date"], return_inverse=True)
    since = [doubted_since(day_of(day), told) for day in days]
    second = [at is not None and _is_second(receipt.fetched_at, at) for at in since]
    # A doubt has made them no longer final, which any answer that had them since has undone.
    confirmed = np.array(second, np.bool_)[place] & ~left["final"]
    # Where a day's other bars came, and whole, one that was never final need not be in its history.
    came = np.isin(days, rows_of(delivery.candles)["date"]) & (not receipt.quarantined)
    undoubted = np.array([at is None for at in since], np.bool_)
    never_final = (came & undoubted)[place] & ~left["final"]
    receipt = replace(receipt, revised=int(np.count_nonzero(confirmed)))
    return _keeping(replace(delivery, receipt=receipt), _only(left, ~(confirmed | never_final)))


def _keeping(delivery: Delivery, doubtful: Rows) -> Delivery:
    """The delivery with these bars among its own, not final, and a receipt that says so."""
    if not len(doubtful["ts"]):
        return delivery
    chunk = delivery.receipt.chunk
    bars = pa.table([doubtful[name] for name in BARS.names], BARS.names).cast(BARS)
    kept = label_candles(chunk, bars, _NEVER)
    candles = kept if delivery.candles is None else pa.concat_tables([delivery.candles, kept])
    receipt = replace(
        delivery.receipt,
        status=Status.FAILED,
        cause=Cause.VANISHED,
        error=_in_words(doubtful, is_empty=delivery.receipt.status is Status.EMPTY),
    )
    return replace(delivery, receipt=receipt, candles=candles.sort_by("ts"))


def _in_words(doubtful: Rows, *, is_empty: bool) -> str:
    days = [str(day_of(day)) for day in np.unique(doubtful["date"])]
    more = f" and {len(days) - _NAMED_DAYS} days more" if len(days) > _NAMED_DAYS else ""
    return (
        f"the answer {'is empty and ' if is_empty else ''}lacks {len(doubtful['ts'])} candles that stand "
        f"in the store, of {', '.join(days[:_NAMED_DAYS])}{more}; they were kept, and go if one of another "
        "day lacks them too"
    )


def _only(rows: Rows, mask: Mask) -> Rows:
    return {name: column[mask] for name, column in rows.items()}
