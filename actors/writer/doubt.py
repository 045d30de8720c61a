"""What an answer with rows says nothing of, although it stands. Pure.

One answer that lacks what an earlier one had may be cut, late or garbled. So the bars stay, no longer as
final, and the chunk has failed; they go once a second answer lacks them too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from actors.market.candles import BARS, Delivery, label_candles
from actors.market.chunk import Cause, Receipt, Status
from actors.market.sessions import settled_at
from actors.writer.difference import Rows, day_of, rows_of
from actors.writer.occupied import extent, series

if TYPE_CHECKING:
    import numpy.typing as npt

_NEVER = datetime.fromtimestamp(0, UTC)  # nothing had settled then
_NAMED_DAYS = 3


def cautious(
    deliveries: Sequence[Delivery],
    standing: Iterable[Rows],
    told_of: Callable[[Collection[str]], list[Receipt]],
) -> list[Delivery]:
    """The deliveries, with what stands on their days and must not go by their word alone.

    `told_of` finds the receipts of some instruments.
    """
    pairs = [(d, left_out(old, d)) for d, old in zip(deliveries, standing, strict=True)]
    earlier = told_of({d.receipt.chunk.instrument_key for d, left in pairs if len(left["ts"])})
    return [_keeping(d, doubted(left, d.receipt, earlier)) for d, left in pairs]


def left_out(old: Rows, delivery: Delivery) -> Rows:
    """The bars of settled days that stand, and of which the answer says nothing.

    None of their day came; or a row was put aside, which may have been theirs. What was computed
    here says all there is to say.
    """
    receipt, new = delivery.receipt, rows_of(delivery.candles)
    silent = ~np.isin(old["date"], new["date"])
    if receipt.quarantined:
        silent |= ~np.isin(old["ts"], new["ts"])
    if not silent.any() or not receipt.attempts:
        return _only(old, np.zeros(len(old["ts"]), np.bool_))
    timeframe, days = receipt.chunk.timeframe, np.unique(old["date"][silent])
    settled = [settled_at(timeframe, day_of(day)) <= receipt.fetched_at for day in days]
    return _only(old, silent & np.isin(old["date"], days[settled]))


def doubted(left: Rows, receipt: Receipt, earlier: Iterable[Receipt]) -> Rows:
    """Those of the bars left out that no earlier answer left out as well.

    One that did made them no longer final, which any answer that had them since has undone.
    """
    told = [
        (*extent(other.chunk), other.fetched_at)
        for other in earlier
        if other.cause is Cause.VANISHED
        and series(other.chunk) == series(receipt.chunk)
        and other.fetched_at < receipt.fetched_at
    ]

    def is_confirmed(day: date) -> bool:
        settled = settled_at(receipt.chunk.timeframe, day)
        return any(first <= day <= last and settled <= at for first, last, at in told)

    days = np.unique(left["date"])
    confirmed = days[[is_confirmed(day_of(day)) for day in days]] if len(days) else days
    return _only(left, left["final"] | ~np.isin(left["date"], confirmed))


def _keeping(delivery: Delivery, doubtful: Rows) -> Delivery:
    """The delivery with these bars among its own, not final, and a receipt that says so."""
    if not len(doubtful["ts"]):
        return delivery
    chunk = delivery.receipt.chunk
    bars = pa.table([doubtful[name] for name in BARS.names], BARS.names).cast(BARS)
    candles = pa.concat_tables([delivery.candles, label_candles(chunk, bars, _NEVER)])
    days = [str(day_of(day)) for day in np.unique(doubtful["date"])]
    more = f" and {len(days) - _NAMED_DAYS} days more" if len(days) > _NAMED_DAYS else ""
    error = (
        f"the answer lacks {bars.num_rows} candles that stand in the store, of "
        f"{', '.join(days[:_NAMED_DAYS])}{more}; they were kept, and go if the next lacks them too"
    )
    receipt = replace(delivery.receipt, status=Status.FAILED, cause=Cause.VANISHED, error=error)
    return replace(delivery, receipt=receipt, candles=candles.sort_by("ts"))


def _only(rows: Rows, mask: npt.NDArray[np.bool_]) -> Rows:
    return {name: column[mask] for name, column in rows.items()}
