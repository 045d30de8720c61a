"""In what order the deliveries of a batch must be committed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
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


def has_rows(delivery: Delivery) -> bool:
    return delivery.candles is not None and delivery.candles.num_rows > 0


def layers(deliveries: Sequence[Delivery], occupied: Occupied) -> list[list[Delivery]]:
    """The batch in layers to be committed one after another.

    Rows of the first layer stand on free ground and are appended; those of later ones replace. No
    two deliveries with rows in a layer touch the same days of the same series; of two that do, the
    later one lies in a later layer, so that the last one wins.
    """
    found: list[list[Delivery]] = [[]]
    placed: dict[tuple[str, str], list[tuple[date, date, int]]] = defaultdict(list)
    for delivery in deliveries:
        chunk = delivery.receipt.chunk
        first, last = extent(chunk)
        neighbours = placed[series(chunk)]
        depth = int(has_rows(delivery) and occupied.overlaps(chunk))
        depth = max([depth, *(after for f, t, after in neighbours if f <= last and first <= t)])
        neighbours.append((first, last, depth + has_rows(delivery)))
        found.extend([] for _ in range(depth + 1 - len(found)))
        found[depth].append(delivery)
    return found


def unanswered(late: Sequence[Delivery], receipts: Sequence[Receipt]) -> list[Delivery]:
    """The deliveries, come late, that no receipt tells of and no newer answer has overtaken."""
    told = {(receipt.chunk.id, receipt.run_id) for receipt in receipts}
    answers: dict[tuple[str, str], list[Receipt]] = defaultdict(list)
    for receipt in receipts:
        if receipt.status is not Status.FAILED or receipt.rows:
            answers[series(receipt.chunk)].append(receipt)
    return [
        delivery
        for delivery in late
        if (delivery.receipt.chunk.id, delivery.receipt.run_id) not in told
        and not any(
            _overtakes(newer, delivery.receipt) for newer in answers[series(delivery.receipt.chunk)]
        )
    ]


def _overtakes(newer: Receipt, older: Receipt) -> bool:
    (first, last), (since, until) = extent(newer.chunk), extent(older.chunk)
    return newer.fetched_at > older.fetched_at and first <= until and since <= last


def replaced_days(delivery: Delivery) -> Days:
    """The days whose rows this delivery's rows take the place of.

    An answer says nothing of its last day if it came without, before that had settled: what the day's
    own endpoint had served then stays.
    """
    assert delivery.candles is not None
    receipt, chunk = delivery.receipt, delivery.receipt.chunk
    dates = pc.min_max(delivery.candles["date"]).as_py()
    is_settled = settled_at(chunk.timeframe, chunk.last) <= receipt.fetched_at
    last = max(chunk.last, dates["max"]) if is_settled else dates["max"]
    return Days(chunk.instrument_key, chunk.timeframe, min(chunk.first, dates["min"]), last)


def since(first: date, delivery: Delivery) -> Delivery:
    """The same with the rows from this day on."""
    assert delivery.candles is not None
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
