"""What an answer says nothing of, although it stands. Pure.

One answer that lacks what an earlier one had may be cut, late or garbled. So the bars stay, no longer as
final, and the chunk has failed; they go once a second answer lacks them too. One that is wholly empty is
what an outage looks like, to whoever tries again at once: it takes another day's to believe it.

So it is with bars of a history that was rewritten meanwhile: until then they stand as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa

from actors.market.candles import BARS, Delivery, label_candles
from actors.market.chunk import Cause, Receipt, Status
from actors.market.epoch import day_of
from actors.market.sessions import ist_date, settled_at
from actors.writer.difference import Mask, Rows, rows_of
from actors.writer.occupied import extent, series

_NEVER = datetime.fromtimestamp(0, UTC)  # nothing had settled then
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


def confirmed(left: Rows, receipt: Receipt, earlier: Iterable[Receipt]) -> Mask:
    """Which of the bars left out an earlier answer may have left out as well.

    It made them no longer final, which any answer that had them since has undone.
    """
    told = [
        (*extent(other.chunk), other.fetched_at)
        for other in earlier
        if other.cause is Cause.VANISHED
        and series(other.chunk) == series(receipt.chunk)
        and _is_second(receipt, other.fetched_at)
    ]

    def is_confirmed(day: date) -> bool:
        settled = settled_at(receipt.chunk.timeframe, day)
        return any(first <= day <= last and settled <= at for first, last, at in told)

    days, place = np.unique(left["date"], return_inverse=True)
    found: Mask = np.array([is_confirmed(day_of(day)) for day in days], np.bool_)[place]
    return found & ~left["final"]


def _is_second(receipt: Receipt, first_at: datetime) -> bool:
    if receipt.status is Status.EMPTY:
        return ist_date(first_at) < ist_date(receipt.fetched_at)
    return first_at < receipt.fetched_at


def _judged(delivery: Delivery, left: Rows, earlier: Iterable[Receipt]) -> Delivery:
    receipt = delivery.receipt
    goes = confirmed(left, receipt, earlier)
    # Where a day's other bars came, and whole, one that was never final need not be in its history.
    other_came = np.isin(left["date"], rows_of(delivery.candles)["date"]) & (
        not receipt.quarantined
    )
    doubtful = _only(left, left["final"] | ~(goes | other_came))
    receipt = replace(receipt, revised=int(np.count_nonzero(goes)))
    return _keeping(replace(delivery, receipt=receipt), doubtful)


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
    until = "one of another day is empty too" if is_empty else "the next lacks them too"
    return (
        f"the answer {'is empty and ' if is_empty else ''}lacks {len(doubtful['ts'])} candles that stand "
        f"in the store, of {', '.join(days[:_NAMED_DAYS])}{more}; they were kept, and go if {until}"
    )


def _only(rows: Rows, mask: Mask) -> Rows:
    return {name: column[mask] for name, column in rows.items()}
