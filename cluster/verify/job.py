"""What `candlefleet verify` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING

from actors.market.clock import MACHINE, Clock
from actors.market.errors import UsageError
from actors.market.instrument import Instrument
from actors.market.timeframe import Timeframe
from actors.writer.reading import Store
from cluster.choice import cluster_for, refuse_hopeless
from cluster.config import RunConfig
from cluster.coverage import intersected, united
from cluster.exit import Exit
from cluster.occupancy import locked, recover
from cluster.plan import Want
from cluster.provider import provider_of
from cluster.report import Summary
from cluster.scan import Occasion, execute, prepare
from cluster.segments import SEGMENTS
from cluster.verify.judgement import Grade
from cluster.verify.repair import make_again, repair
from cluster.verify.verification import Verification, verify
from cluster.wants import Wants, wants_of

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Verified:
    found: Verification
    run: Exit = Exit.DONE  # of the run that asked for what was missing
    unforgiven: int = 0  # names that are unresolved, and must not be
    lines: tuple[str, ...] = ()  # beside it, for people
    summary: Summary | None = None  # of that run; None: there was none

    def exit(self, *, strict: bool = False) -> Exit:
        """`strict`: what is unconfirmed counts as missing."""
        passes = self.found.grade <= (Grade.COMPLETE if strict else Grade.UNCONFIRMED)
        if self.run.is_of_a_whole_run and (self.unforgiven or not passes):
            return Exit.INCOMPLETE
        return self.run


def verify_config(config: RunConfig, store: Store, clock: Clock = MACHINE) -> Verified:
    """Hold the store, the config's at its newest or as it was, against all that the config asks for."""
    with provider_of(config) as provider:
        wants = wants_of(config, provider.assets_url, provider.state_dir, clock.now())
    found = verify(store, _due(wants), _moment(store, clock))
    return _verified(found, wants, Exit.DONE)


def repair_config(
    config: RunConfig,
    console: Console,
    address: str | None = None,
    *,
    clock: Clock = MACHINE,
    occasion: Occasion | None = None,
) -> Verified:
    """Ask for what is missing or unconfirmed by an ordinary run, and hold the store again.

    Nobody else writes to the store meanwhile.
    """
    refuse_hopeless(config.store, address)
    with provider_of(config) as provider, locked(config.store, provider.state_dir):
        recover(config.store, provider.state_dir)
        prepared = prepare(config, provider, clock.now())
        store, due = prepared.store, _due(prepared.wants)
        found = verify(store, due, clock.now())
        if not (found.grade or found.undecided):
            return _verified(found, prepared.wants, Exit.DONE)
        asked = repair(found, derive=config.derive)
        prepared = replace(prepared, plan=asked, clock=clock, occasion=occasion)
        with cluster_for(provider, address, console) as cluster:
            run = execute(prepared, console, cluster)
        found = verify(store, due, clock.now())
        has_ended = config.derive and run.exit.is_of_a_whole_run
        if has_ended and make_again(store, found, run.summary.run_id):
            found = verify(store, due, clock.now())
    verified = _verified(found, prepared.wants, run.exit, run.lines)
    return replace(verified, summary=run.summary)


def verify_store(store: Store, first: date | None, last: date | None) -> Verified:
    """Hold a store against all that was ever asked for it, within `first` and `last`."""
    if first and last and first > last:
        raise UsageError(f"the first day comes after the last, {last}", "--from")
    store = store.still()
    if store.candles_version() is None:
        raise UsageError(f"there is no store at {store.uri} yet", "--store")
    wants = _asked(store, first or date.min, last or date.max)
    if not wants:
        raise UsageError(f"{store.uri} was never asked to hold anything there", "--store")
    return Verified(verify(store, wants, _moment(store, MACHINE)))


def _due(wants: Wants) -> tuple[Want, ...]:
    return (*wants.wants, *wants.derived)


def _moment(store: Store, clock: Clock) -> datetime:
    """When the store was as it is looked at: what was to come then is not due."""
    now = clock.now()
    return min(store.until or now, now)


def _verified(found: Verification, wants: Wants, run: Exit, lines: Sequence[str] = ()) -> Verified:
    found = replace(found, unresolved=wants.unresolved)
    return Verified(found, run, wants.unforgiven, (*wants.warnings, *wants.notes, *lines))


def _asked(store: Store, first: date, last: date) -> Sequence[Want]:
    """The days that anything was asked of, for each instrument and timeframe."""
    asked = (
        store.receipts()
        .group_by(["instrument_key", "timeframe"])
        .aggregate([("symbol", "max"), ("first", "list"), ("last", "list")])
    )
    within = ((first.toordinal(), last.toordinal()),)
    wants = []
    for row in sorted(asked.to_pylist(), key=lambda row: (row["symbol_max"], row["timeframe"])):
        key = row["instrument_key"]
        segment = key.partition("|")[0]
        instrument = Instrument(key, row["symbol_max"], SEGMENTS.get(segment, ""), segment, "")
        ends = (map(date.toordinal, row[name]) for name in ("first_list", "last_list"))
        for begin, end in intersected(united(zip(*ends, strict=True)), within):
            days = date.fromordinal(begin), date.fromordinal(end)
            wants.append(Want(instrument, Timeframe.parse(row["timeframe"]), *days))
    return wants
