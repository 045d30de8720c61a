"""Computes longer bars from the 1-minute bars of a store, and puts them beside those."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from actors.fetcher.receipt import CHANGES_FOR
from actors.market.candles import BARS, TS, Delivery, label_candles
from actors.market.chunk import Receipt, Status
from actors.market.errors import StoreError
from actors.market.resampling import openings_of, resampled
from actors.market.session_days import REFERENCE
from actors.market.sessions import depends_on_opening, ist_date, opening_minute, settled_at
from actors.writer.buffer import grouped
from actors.writer.coverage import held
from actors.writer.reading import Store
from actors.writer.store import StoreWriter
from cluster.derived import MINUTE, Due, due
from cluster.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from cluster.scan import Prepared

log = logging.getLogger(__name__)

_COMMIT_BYTES = 32 * 2**20
_COLUMNS = ["instrument_key", "date", *BARS.names]


@dataclass(frozen=True, slots=True)
class Derived:
    """What was computed."""

    bars: int = 0
    failed: tuple[Receipt, ...] = ()  # the store holds bars there of which the minutes say nothing


def due_of(prepared: Prepared) -> list[Due]:
    """What is to be computed for a run now."""
    wants, config = prepared.wants.derived, prepared.config
    if not wants:
        return []
    receipts = prepared.store.receipts()
    known = held(receipts, stale_too=config.on_revision == "warn")
    return due(wants, receipts, known, prepared.clock.now(), today=bool(config.today))


def derive(prepared: Prepared, run_id: str, console: Console) -> Derived:
    """Compute what is due now; see `compute`."""
    some = due_of(prepared)
    if not some:
        return Derived()
    console.print(f"Computing {counted(len(some), 'chunk')} from 1-minute bars.", highlight=False)
    done = compute(prepared.store, some, run_id, forming=prepared.config.today == "forming")
    log.info("bars.derived", extra={"chunks": len(some), "rows": done.bars})
    return done


def compute(store: Store, some: Sequence[Due], run_id: str, *, forming: bool = False) -> Derived:
    """Make the bars of the minutes that stand in the store; `forming`: those not yet over, too.

    Each chunk gets a receipt that tells of no request, as if its bars had come when its minutes did.
    Rows and receipts are committed like any others: what a crash leaves undone is due again. Raises
    StoreError if they cannot be.
    """
    if not some:
        return Derived()
    minutes = _Minutes(store)
    writer = StoreWriter(store.uri)
    receipts: list[Receipt] = []
    for batch in grouped(_deliveries(minutes, some, run_id, forming=forming), _COMMIT_BYTES):
        receipts += writer.commit(batch).receipts
    try:
        writer.tidy(ist_date(datetime.now(UTC)))
    except StoreError as error:  # all of it is committed whether or not that succeeds
        log.warning("store.untidy", extra={"error": str(error)})
    failed = tuple(receipt for receipt in receipts if receipt.status is Status.FAILED)
    return Derived(sum(receipt.rows for receipt in receipts), failed)


class _Minutes:
    """The 1-minute bars of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        receipts = store.receipts()
        stored = pc.and_(
            pc.equal(receipts["timeframe"], MINUTE.label), pc.greater(receipts["rows"], 0)
        )
        self._keys = set(receipts.filter(stored)["instrument_key"].to_pylist())

    def of(
        self, instrument_keys: Collection[str], first: date, last: date
    ) -> Iterator[tuple[str, pa.Table]]:
        """Each instrument that has any from `first` to `last`, with its bars; few are read at once."""
        keys = sorted(self._keys.intersection(instrument_keys))
        if not keys:
            return
        chosen = self._store.candles(
            symbols=keys, timeframe=MINUTE, first=first, last=last, columns=_COLUMNS
        )
        for piece in chosen.pieces():
            names = piece["instrument_key"].combine_chunks().dictionary_encode()
            begins = np.flatnonzero(np.diff(names.indices.to_numpy(), prepend=-1))
            ends = np.append(begins[1:], piece.num_rows)
            for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
                yield names[begin].as_py(), piece.slice(begin, end - begin)


def _deliveries(
    minutes: _Minutes, due: Sequence[Due], run_id: str, *, forming: bool
) -> Iterator[Delivery]:
    """A month at a time: that is how the store is divided."""
    openings = _openings(minutes, due)
    for mine in _by_month(due):
        first = min(one.chunk.first for one in mine)
        last = max(one.chunk.last for one in mine)
        waiting: dict[str, list[Due]] = defaultdict(list)
        for one in mine:
            waiting[one.chunk.instrument_key].append(one)
        for key, bars in minutes.of(waiting.keys(), first, last):
            for one in waiting.pop(key):
                made = _made(one, bars, openings, forming=forming)
                yield _delivery(one, made, run_id)
        for silent in waiting.values():
            yield from (_delivery(one, BARS.empty_table(), run_id) for one in silent)


def _openings(minutes: _Minutes, due: Iterable[Due]) -> dict[date, int]:
    """When those sessions opened whose bars depend on it."""
    chunks = [one.chunk for one in due if depends_on_opening(one.chunk.timeframe.minutes)]
    if not chunks:
        return {}
    first, last = min(chunk.first for chunk in chunks), max(chunk.last for chunk in chunks)
    found = dict(minutes.of([REFERENCE], first, last))
    return openings_of(found[REFERENCE], _usual(REFERENCE)) if found else {}


def _made(one: Due, minutes: pa.Table, openings: Mapping[date, int], *, forming: bool) -> pa.Table:
    """BARS of the chunk."""
    chunk = one.chunk
    inside = pc.and_(
        pc.greater_equal(minutes["date"], chunk.first), pc.less_equal(minutes["date"], chunk.last)
    )
    bars = minutes.filter(inside).select(BARS.names).cast(BARS)
    made = resampled(bars, chunk.timeframe.minutes, openings, _usual(chunk.instrument_key))
    if forming:
        return made
    over = one.fetched_at - timedelta(minutes=chunk.timeframe.minutes) - CHANGES_FOR
    return made.filter(pc.less_equal(made["ts"], pa.scalar(over, TS)))


def _delivery(one: Due, bars: pa.Table, run_id: str) -> Delivery:
    chunk = one.chunk
    receipt = Receipt(
        chunk=chunk,
        status=Status.STORED if bars.num_rows else Status.EMPTY,
        run_id=run_id,
        fetched_at=one.fetched_at,
        rows=bars.num_rows,
        final=settled_at(chunk.timeframe, chunk.last) <= one.fetched_at,
    )
    return Delivery(receipt, label_candles(chunk, bars, one.fetched_at) if bars.num_rows else None)


def _usual(instrument_key: str) -> int:
    """When its sessions open, but for special ones."""
    minute = opening_minute(instrument_key.partition("|")[0])
    assert minute is not None, instrument_key  # of such nothing is derived
    return minute


def _by_month(due: Iterable[Due]) -> Iterator[list[Due]]:
    months: dict[str, list[Due]] = defaultdict(list)
    for one in due:
        months[one.chunk.timeframe.period(one.chunk.last)].append(one)
    return (months[month] for month in sorted(months))
