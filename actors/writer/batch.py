"""In what order the deliveries of a batch must be committed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from actors.market.candles import CANDLES
from actors.market.chunk import Status
from actors.market.sessions import settled_at
from actors.writer.occupied import Occupied, extent, series
from actors.writer.predicate import Days

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from actors.market.candles import Delivery
    from actors.market.chunk import Receipt

_DAY = timedelta(days=1)


def has_rows(delivery: Delivery) -> bool:
    return delivery.candles is not None and delivery.candles.num_rows > 0


def denies(delivery: Delivery) -> bool:
    """Whether it is an answer of the provider's that there is nothing on its days."""
    return delivery.receipt.status is Status.EMPTY and delivery.receipt.attempts > 0


def layers(deliveries: Sequence[Delivery], occupied: Occupied) -> list[list[Delivery]]:
    """The batch in layers to be committed one after another.

    Rows of the first layer stand on free ground and are appended; those of later ones replace, be it
    with nothing. No two deliveries in a layer that bring rows or deny that there are any touch the same
    days of the same series; of two that do, the later one lies in a later layer, so that the last one
    wins.
    """
    found: list[list[Delivery]] = [[]]
    placed: dict[tuple[str, str], list[tuple[date, date, int]]] = defaultdict(list)
    for delivery in deliveries:
        chunk = delivery.receipt.chunk
        first, last = extent(chunk)
        neighbours = placed[series(chunk)]
        tells = has_rows(delivery) or denies(delivery)
        depth = int(tells and occupied.overlaps(chunk))
        depth = max([depth, *(after for f, t, after in neighbours if f <= last and first <= t)])
        neighbours.append((first, last, depth + tells))
        found.extend([] for _ in range(depth + 1 - len(found)))
        found[depth].append(delivery)
    return found


def unanswered(late: Sequence[Delivery], receipts: Sequence[Receipt]) -> list[Delivery]:
    """Of the deliveries, come late, what no receipt tells of and no newer answer has overtaken.

    One that was overtaken on some of its days is cut to the others. Of two for one chunk of one run,
    kept by one writer after another, the last one counts.
    """
    newest = {_name(delivery.receipt): delivery for delivery in late}
    told = set(map(_name, receipts))
    others: dict[tuple[str, str], list[Receipt]] = defaultdict(list)
    for receipt in receipts:
        others[series(receipt.chunk)].append(receipt)
    return [
        piece
        for delivery in late
        if newest[_name(delivery.receipt)] is delivery and _name(delivery.receipt) not in told
        for piece in _left_of(delivery, others[series(delivery.receipt.chunk)])
    ]


def _name(receipt: Receipt) -> tuple[str, str]:
    return receipt.chunk.id, receipt.run_id


def _left_of(delivery: Delivery, others: Sequence[Receipt]) -> list[Delivery]:
    first, last = extent(delivery.receipt.chunk)
    spans = [extent(other.chunk) for other in others if _overtakes(other, delivery.receipt)]
    spans = sorted((since, until) for since, until in spans if since <= last and first <= until)
    if not spans:
        return [delivery]
    pieces = []
    for since, until in spans:
        if first < since:
            pieces.append(_cut(delivery, first, since - _DAY))
        first = max(first, until + _DAY)
    if first <= last:
        pieces.append(_cut(delivery, first, last))
    return pieces


def _overtakes(other: Receipt, late: Receipt) -> bool:
    """Whether it is of a newer answer, or of a piece of this one."""
    if (other.run_id, other.fetched_at) == (late.run_id, late.fetched_at):
        return True
    answers = other.status is not Status.FAILED or other.rows > 0  # a day's rows may have vanished
    return answers and other.fetched_at > late.fetched_at


def _cut(delivery: Delivery, first: date, last: date) -> Delivery:
    """The same, about the bars labelled `first` to `last` only. What was put aside stays with each piece."""
    receipt, rows = delivery.receipt, delivery.candles
    whole = receipt.chunk
    chunk = replace(whole, first=max(first, whole.first), last=min(last, whole.last))
    if rows is not None:
        rows = rows.filter((pc.field("date") >= first) & (pc.field("date") <= last))
        receipt = replace(receipt, rows=rows.num_rows)
        # Of these days it has denied that there are any, unless what was put aside is of them.
        if not (rows.num_rows or receipt.quarantined):
            receipt, rows = replace(receipt, status=Status.EMPTY), None
    if receipt.status is not Status.FAILED:
        receipt = replace(
            receipt, final=settled_at(chunk.timeframe, chunk.last) <= receipt.fetched_at
        )
    return replace(delivery, receipt=replace(receipt, chunk=chunk), candles=rows)


def replaced_days(delivery: Delivery) -> Days:
    """The days whose rows this delivery's rows take the place of; none if they end before they begin.

    An answer says nothing of its last days if it came without, before those had settled: what the day's
    own endpoint had served then stays.
    """
    receipt, chunk = delivery.receipt, delivery.receipt.chunk
    dates = pc.unique(delivery.candles["date"]).to_pylist() if delivery.candles is not None else []
    first, last = min([chunk.first, *dates]), chunk.last
    while first <= last and settled_at(chunk.timeframe, last) > receipt.fetched_at:
        last -= _DAY
    return Days(chunk.instrument_key, chunk.timeframe, first, max([last, *dates]))


def since(first: date, delivery: Delivery) -> Delivery:
    """The same with the rows from this day on."""
    if delivery.candles is None:
        return delivery
    return replace(delivery, candles=delivery.candles.filter(pc.field("date") >= first))


def check(delivery: Delivery) -> None:
    """Raise ValueError for a delivery that would break law 4; a fetcher never makes one."""
    chunk, candles = delivery.receipt.chunk, delivery.candles
    if candles is None or candles.num_rows == 0:
        return
    if delivery.receipt.status is not Status.STORED:
        raise ValueError(
            f"{chunk.id}: candles came with a receipt that says {delivery.receipt.status}"
        )
    if not candles.schema.equals(CANDLES):
        raise ValueError(f"{chunk.id}: the table is not of the schema CANDLES")
    first, last = extent(chunk)
    dates = pc.min_max(candles["date"]).as_py()
    if dates["min"] < first or dates["max"] > last:
        raise ValueError(
            f"{chunk.id}: rows of {dates['min']} to {dates['max']} lie outside its span"
        )
    if (np.diff(candles["ts"].cast("int64").to_numpy()) <= 0).any():
        raise ValueError(f"{chunk.id}: stamps do not ascend, or stand twice")
