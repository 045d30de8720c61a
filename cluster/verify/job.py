"""What `candlefleet verify` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from actors.market.errors import UsageError
from actors.market.instrument import Instrument
from actors.market.timeframe import Timeframe
from actors.writer.reading import Store
from cluster.config import RunConfig
from cluster.coverage import intersected, united
from cluster.exit import Exit
from cluster.occupancy import recover
from cluster.placing import refuse_adrift
from cluster.plan import Want
from cluster.provider import provider_of
from cluster.scan import execute, prepare
from cluster.segments import SEGMENTS
from cluster.verify.repair import make_again, repair
from cluster.verify.verification import Verification, verify

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Verified:
    found: Verification
    exit: Exit
    lines: tuple[str, ...] = ()  # beside it, for people


def verify_config(
    config: RunConfig, console: Console, address: str | None = None, *, fetch: bool = False
) -> Verified:
    """Hold the store against all that a config asks for.

    With `fetch`, what is missing is asked for by an ordinary run, and the store is held again.
    """
    refuse_adrift(config.store, on_cluster=fetch and address is not None)
    with provider_of(config) as provider:
        if fetch:
            recover(config.store, provider.state_dir)
        prepared = prepare(config, provider, datetime.now(UTC))
        wants = prepared.wants
        due = (*wants.wants, *wants.derived)
        told, run_exit = [*wants.warnings, *wants.notes], Exit.DONE
        found = verify(prepared.store, due, datetime.now(UTC))
        if fetch and (found.incomplete or found.undecided):
            prepared = replace(prepared, plan=repair(found, derive=config.derive))
            run = execute(prepared, console, address)
            told, run_exit = [*told, *run.lines], run.exit
            found = verify(prepared.store, due, datetime.now(UTC))
            has_ended = config.derive and run_exit in (Exit.DONE, Exit.INCOMPLETE)
            if has_ended and make_again(prepared.store, found, run.summary.run_id):
                found = verify(prepared.store, due, datetime.now(UTC))
    found = replace(found, unresolved=wants.unresolved)
    if run_exit in (Exit.DONE, Exit.INCOMPLETE) and (wants.unforgiven or not found.is_complete):
        run_exit = Exit.INCOMPLETE
    return Verified(found, run_exit, tuple(told))


def verify_store(uri: str, first: date | None, last: date | None) -> Verified:
    """Hold a store against all that was ever asked for it, within `first` and `last`."""
    store = Store(uri)
    wants = _asked(store, first or date.min, last or date.max)
    if not wants:
        raise UsageError(f"{store.uri} was never asked to hold anything there", "--store")
    found = verify(store, wants, datetime.now(UTC))
    return Verified(found, Exit.DONE if found.is_complete else Exit.INCOMPLETE)


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
