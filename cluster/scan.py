"""The main job: from a config to a finished run."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from actors.limiter.budget import Budget
from actors.limiter.clock import read
from actors.limiter.ledger import Ledger
from actors.limiter.terms import Terms
from actors.limiter.use import BudgetUse, use_of
from actors.market.clock import MACHINE, Clock
from actors.market.errors import CandlefleetError, StoreError, UsageError
from actors.market.sessions import IST
from actors.upstox.limits import Family
from actors.writer import object_store
from actors.writer.coverage import Held, held
from actors.writer.reading import Store
from actors.writer.receipts import receipts_table
from actors.writer.spool import place_of, waiting
from cluster import asking
from cluster.choice import cluster_for, refuse_hopeless
from cluster.config import RunConfig
from cluster.derive import Derived, derive, due_of
from cluster.exit import Exit
from cluster.fleet import Worked, work
from cluster.forecast import memory_notes
from cluster.local_cluster import Cluster
from cluster.logs import run_log
from cluster.occupancy import locked, make_ready, recover
from cluster.plan import Plan, plan
from cluster.provider import Provider, provider_of, terms_of
from cluster.record import log_file, write_manifest, write_report
from cluster.report import Summary, exit_code, lines, summarise
from cluster.wants import Wants, wants_of
from cluster.wording import counted, printable

if TYPE_CHECKING:
    from rich.console import Console

    from cluster.screen.answer import Answer
    from cluster.screen.live import LiveScreen
    from cluster.screen.screen import Screen

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Occasion:
    """A moment at which a job of a schedule was due."""

    job: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a run would do. Making it sent no request for candles and wrote nothing to the store."""

    config: RunConfig
    provider: Provider
    store: Store
    wants: Wants
    plan: Plan
    terms: dict[Family, Terms]
    budget: BudgetUse  # as it was found
    clock: Clock = MACHINE
    occasion: Occasion | None = None  # of a job, which the run is for


@dataclass(frozen=True, slots=True)
class Finished:
    summary: Summary
    exit: Exit
    lines: list[str]  # for people
    answer: Answer | None = None  # of the screen, if there was one


#: Says what to fetch: all that is wanted, and the plan for what of it is to be asked for now.
Planner = Callable[[RunConfig, Provider, Store, datetime], tuple[Wants, Plan]]


def missing(
    config: RunConfig, provider: Provider, store: Store, now: datetime
) -> tuple[Wants, Plan]:
    """Resolve the universe, subtract what the store holds, and plan the rest.

    What a run that was cut off has left counts as held: the next one begins by storing it.
    """
    wants = wants_of(config, provider.assets_url, provider.state_dir, now)
    known = known_of(config, provider, store)
    return wants, plan(wants.wants, known, now, today=config.today)


def known_of(config: RunConfig, provider: Provider, store: Store) -> Held:
    """What need not be asked for again."""
    left = receipts_table(waiting(place_of(store.uri, provider.state_dir)))
    receipts = pa.concat_tables([store.receipts(), left])
    return held(receipts, stale_too=config.on_revision == "warn")


def prepare(
    config: RunConfig, provider: Provider, now: datetime, planner: Planner = missing
) -> Prepared:
    store = Store(config.store)
    wants, found = planner(config, provider, store, now)
    with closing(Ledger(provider.state_dir)) as ledger:
        terms = terms_of(config, provider)
        main = terms[Family.HISTORICAL]
        use = use_of(Budget(ledger, ledger.name_of(main), "plan", read()), read(), main)
    return Prepared(config, provider, store, wants, found, terms, use)


def scan(
    config: RunConfig,
    console: Console,
    address: str | None = None,
    planner: Planner = missing,
    screen: Screen | None = None,
    *,
    clock: Clock = MACHINE,
    occasion: Occasion | None = None,
) -> Finished:
    """Fetch what is missing, and answer the screen. With nothing to fetch, nothing is written.

    Nobody else writes to the store from before it is looked at until all is done.
    """
    began_s = time.monotonic()
    refuse_hopeless(config.store, address)
    if screen is not None:
        asking.refuse_unfit(screen, config)
    with (
        provider_of(config) as provider,
        locked(config.store, provider.state_dir),
        cluster_for(provider, address, console) as cluster,
    ):
        if answers := recover(config.store, provider.state_dir):
            said = (
                f"Stored {counted(answers, 'answer')} that a run had fetched before it was cut off."
            )
            console.print(said, markup=False, highlight=False)
        prepared = prepare(config, provider, clock.now(), planner)
        prepared = replace(prepared, clock=clock, occasion=occasion)
        notes = [*prepared.wants.warnings, *prepared.wants.notes, *map(str, prepared.plan.notes)]
        notes += memory_notes(prepared)
        notes += asking.remarks(screen, prepared) if screen else ()
        for note in notes:
            console.print(
                printable(note), style="yellow", markup=False, highlight=False, soft_wrap=True
            )
        with asking.meanwhile(screen, prepared, console, began_s) as live:
            finished = execute(prepared, console, cluster, live)
            return asking.answered(finished, screen, prepared, live) if screen else finished


def execute(
    prepared: Prepared, console: Console, cluster: Cluster, live: LiveScreen | None = None
) -> Finished:
    """Work a plan off, and leave a manifest, a log and a report in the run's folder.

    The plan was made since the store is `locked`, and it still is.
    """
    run_id = new_run_id(prepared.clock.now())
    if not prepared.plan.chunks and not due_of(prepared):
        worked, version = Worked(derived=Derived()), prepared.store.candles_version()
        return _finished(prepared, run_id, worked, 0.0, version)
    make_ready(prepared.store.uri)
    return _execute(prepared, run_id, console, cluster, live)


def _execute(
    prepared: Prepared, run_id: str, console: Console, cluster: Cluster, live: LiveScreen | None
) -> Finished:
    began, began_s = prepared.clock.now(), time.monotonic()
    began_version = prepared.store.candles_version()
    folder = prepared.store.run(run_id)
    write_manifest(folder, prepared, run_id, began, began_version)
    with log_file(folder, console) as path, run_log(path, console):
        log.info("run.started", extra={"run_id": run_id, "chunks": len(prepared.plan.chunks)})
        worked = Worked(planned=len(prepared.plan.chunks))
        try:
            if prepared.plan.chunks:
                work(prepared, run_id, worked, console, cluster, live)
            if not (worked.halted or worked.interrupted):
                worked.derived = derive(prepared, run_id, console)
        except KeyboardInterrupt:  # while deriving: the fleet's run takes it for itself
            worked.interrupted = True
        except CandlefleetError as error:
            # A value from here on, so that what was stored until then is still told.
            worked.broken = error
            log.info("run.broken", extra={"error": str(error)})  # people are told at the end
        finished = _finished(prepared, run_id, worked, time.monotonic() - began_s, began_version)
        log.info("run.ended", extra=finished.summary.as_dict())
    try:
        write_report(folder, prepared, finished, began)
    except StoreError as error:
        finished.lines.append(f"candlefleet: {error}")
    return finished


def new_run_id(now: datetime) -> str:
    """Sorts by time (IST) and is never the same twice: `20261123-184501-9f3c`."""
    return f"{now.astimezone(IST):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def _finished(
    prepared: Prepared, run_id: str, worked: Worked, seconds: float, began_version: int | None
) -> Finished:
    wants, derived = prepared.wants, worked.derived or Derived()
    summary = summarise(
        run_id,
        worked,
        seconds=seconds,
        store=prepared.store.uri,
        began_version=began_version,
        candles_version=_version(prepared.store),
        unresolved=len(wants.unresolved),
        notes=[str(note) for note in prepared.plan.notes],
        derives=bool(wants.derived),
    )
    told = [f"  unresolved: {name}" for name in wants.unresolved]
    told += lines(summary, [*worked.totals.failures, *derived.failed], worked.halted)
    if worked.broken is not None:
        told.append(f"candlefleet: {worked.broken}")
    return Finished(summary, exit_code(summary, worked, wants.unforgiven), told)


def _version(store: Store) -> int | None:
    """Of the candles; None, too, if the store is out of reach, which has been told by then."""
    try:
        object_store.reach(store.uri)
        return store.candles_version()
    except (StoreError, UsageError):
        return None
