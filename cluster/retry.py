"""Dead letters, asked for again by an ordinary run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from actors.market.chunk import Cause, Chunk, Receipt
from actors.market.errors import UsageError
from actors.market.instrument import Instrument
from actors.market.timeframe import Timeframe
from actors.writer.reading import Store
from actors.writer.receipts import as_receipts
from cluster.config import RunConfig
from cluster.config.section import nearest
from cluster.plan import Plan, Want, plan
from cluster.provider import Provider
from cluster.scan import Finished, scan
from cluster.wants import Wants
from cluster.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from cluster.screen.screen import Screen


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which dead letters: those that are one of each kind that is given."""

    causes: Collection[Cause] = ()
    symbols: Collection[str] = ()  # or instrument keys
    timeframes: Collection[Timeframe] = ()
    runs: Collection[str] = ()  # that left them

    def passes(self, letter: Receipt) -> bool:
        chunk = letter.chunk
        return (
            (not self.causes or letter.cause in self.causes)
            and (not self.symbols or bool({chunk.symbol, chunk.instrument_key} & {*self.symbols}))
            and (not self.timeframes or chunk.timeframe in self.timeframes)
            and (not self.runs or letter.run_id in self.runs)
        )


def retry(
    config: RunConfig,
    filters: Filters,
    console: Console,
    address: str | None = None,
    screen: Screen | None = None,
) -> Finished:
    """Ask again for dead letters of the config's store, whatever config asked for them first.

    Raises UsageError for a symbol or a run that the store has never heard of.
    """
    finished = scan(config, console, address, partial(_planned, filters), screen)
    if finished.summary.planned or finished.summary.notes:
        return finished
    _, *others = finished.lines  # what a scan says that finds nothing missing; and of the screen
    return replace(finished, lines=["No dead letter to ask for again.", *others])


def wants_of(letters: Sequence[Receipt]) -> Wants:
    """What would answer these dead letters."""
    wants = tuple(_want(letter.chunk) for letter in letters)
    instruments = {want.instrument.instrument_key: want.instrument for want in wants}
    causes = Counter(str(letter.cause) for letter in letters)
    by_cause = ", ".join(f"{cause} {n:,}" for cause, n in causes.most_common())
    return Wants(
        wants=wants,
        instruments=tuple(instruments.values()),
        unresolved=(),
        unforgiven=0,
        notes=(f"Asking again for {counted(len(wants), 'dead letter')}: {by_cause}.",)
        if wants
        else (),
        warnings=(),
    )


def _planned(
    filters: Filters, config: RunConfig, _provider: Provider, store: Store, now: datetime
) -> tuple[Wants, Plan]:
    _refuse_unknown(store, filters)
    letters = [each for each in as_receipts(store.dead_letters()) if filters.passes(each)]
    wants = wants_of(letters)
    # Nothing counts as held: what failed may have been answered before, and was asked to be replaced.
    return wants, plan(wants.wants, {}, now, today=config.today)


def _want(chunk: Chunk) -> Want:
    """The chunk's days; of the instrument, a plan needs no more than the chunk knows."""
    exchange = chunk.segment.partition("_")[0]
    instrument = Instrument(chunk.instrument_key, chunk.symbol, exchange, chunk.segment, "")
    return Want(instrument, chunk.timeframe, chunk.first, chunk.last)


def _refuse_unknown(store: Store, filters: Filters) -> None:
    if filters.symbols:
        symbols = store.symbols()
        known = {*symbols, *(key for keys in symbols.values() for key in keys)}
        _refuse_others("--symbol", filters.symbols, known)
    if filters.runs:
        known = {*store.runs(), *store.receipts()["run_id"].to_pylist()}
        _refuse_others("--run", filters.runs, known)


def _refuse_others(option: str, named: Collection[str], known: Collection[str]) -> None:
    for word in named:
        if word not in known:
            raise UsageError(f"the store knows no {word!r}{nearest(word, known)}", option)
