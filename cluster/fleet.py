"""A fleet put to work on a plan, and what it did."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from actors.fetcher.verdict import RetryRules
from actors.upstox.limits import Family
from actors.writer.buffer import BufferRules
from cluster.breaker import Strain
from cluster.derive import Derived
from cluster.display import progress_display
from cluster.forecast import foresee
from cluster.revisions import Revisions
from cluster.standing import Totals

if TYPE_CHECKING:
    from rich.console import Console

    from actors.fetcher.outcome import Halted
    from actors.market.chunk import Chunk
    from actors.market.errors import CandlefleetError
    from cluster.assignment import Assignment
    from cluster.crew import CrewSettings
    from cluster.dispatch import Dispatch
    from cluster.display import Show
    from cluster.local_cluster import Cluster
    from cluster.scan import Prepared
    from cluster.screen.live import LiveScreen

log = logging.getLogger(__name__)

MIB = 2**20
SPARE_HANDS = 2  # chunks a fetcher holds beyond its threads, so that none waits for the driver


@dataclass(slots=True)
class Worked:
    """What a run did."""

    totals: Totals = field(default_factory=Totals)
    planned: int = 0
    requests: int = 0
    strain: Strain = Strain()  # noqa: RUF009  # frozen
    halted: Halted | None = None
    interrupted: bool = False
    broken: CandlefleetError | None = None  # what ended the run early: store, ledger, token
    derived: Derived | None = None  # None: not looked for, or cut off

    def take(self, dispatch: Dispatch) -> None:
        self.planned = dispatch.planned
        self.requests = dispatch.requests
        self.strain = dispatch.strain(time.monotonic())
        self.halted = dispatch.halted


def work(
    prepared: Prepared,
    run_id: str,
    worked: Worked,
    console: Console,
    cluster: Cluster,
    live: LiveScreen | None = None,
) -> None:
    """Let the fleet work, and write down in `worked` what it did, however it ends.

    `live` hears of all that is stored, and is shown beside the progress.
    """
    # Ray takes a second to import, and its processes one more; with nothing to fetch, neither is needed.
    cluster.begin()
    from cluster.crew import hire
    from cluster.dispatch import Dispatch
    from cluster.interrupt import interruptible
    from cluster.run import Run
    from cluster.session import ray_session

    chunks, config = prepared.plan.chunks, prepared.config
    with interruptible() as interrupt, ray_session(cluster, interrupt):
        if interrupt:
            worked.interrupted = True
            return
        for line in (f"Fetching {len(chunks):,} chunks on {cluster.where}.", _outlook(prepared)):
            console.print(line, highlight=False, soft_wrap=True)
        with (
            hire(_crew_settings(prepared, run_id), interrupt) as crew,
            progress_display(console, live) as show,
        ):
            log.info("fleet.hired", extra={"fetchers": len(crew.fetchers)})
            lanes_of = dict.fromkeys(crew.fetchers, config.fleet.threads + SPARE_HANDS)
            dispatch = Dispatch(chunks, lanes_of, config.retry.attempts)
            assignment = _assignment(prepared, run_id, show, cluster, live)
            run = Run(crew, dispatch, assignment, interrupt)
            worked.totals = run.totals
            try:
                run.work()
            finally:
                worked.take(dispatch)
                worked.interrupted = bool(interrupt)


def _lanes(prepared: Prepared) -> int:
    return prepared.config.fleet.fetchers * prepared.config.fleet.threads


def _outlook(prepared: Prepared) -> str:
    outlook = foresee(len(prepared.plan.chunks), prepared.budget, _lanes(prepared))
    return outlook.in_words(datetime.now(UTC))


def _assignment(
    prepared: Prepared, run_id: str, show: Show, cluster: Cluster, live: LiveScreen | None
) -> Assignment:
    from cluster.assignment import Assignment

    return Assignment(
        run_id=run_id,
        store=prepared.store.uri,
        terms=prepared.terms[Family.HISTORICAL],
        lanes=_lanes(prepared),
        outage_at_most_s=prepared.config.retry.outage_s,
        show=show,
        again=_again(prepared),
        heard=live.heard if live else lambda *_: None,
        is_lost=cluster.is_lost,
    )


def _again(prepared: Prepared) -> Callable[[str], Iterable[Chunk]]:
    """What else to fetch of an instrument whose history the provider has rewritten."""
    if prepared.config.on_revision == "warn":
        return lambda _: ()
    return Revisions(prepared.wants.wants, prepared.plan.chunks, prepared.clock.now()).again


def _crew_settings(prepared: Prepared, run_id: str) -> CrewSettings:
    from actors.fetcher.actor import FetcherSettings
    from cluster.crew import CrewSettings

    config = prepared.config
    return CrewSettings(
        fetchers=config.fleet.fetchers,
        threads=config.fleet.threads,
        state_dir=str(prepared.provider.state_dir),
        store_uri=prepared.store.uri,
        run_id=run_id,
        buffer=BufferRules(
            commit_every_s=config.writer.commit_every_s,
            commit_bytes=config.writer.commit_bytes_mb * MIB,
            limit_bytes=3 * config.writer.commit_bytes_mb * MIB,
        ),
        memory_limit_bytes=config.memory.limit_mb * MIB,
        fetcher=FetcherSettings(
            base_url=prepared.provider.base_url,
            token=prepared.provider.token,
            terms=prepared.terms,
            run_id=run_id,
            forming=config.today == "forming",
            clock=prepared.clock,
            retry=RetryRules(base_s=config.retry.base_s, cap_s=config.retry.cap_s),
        ),
    )
