"""Hires the actors: the only place that names them, places them, or says how they restart."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayActorError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from actors.fetcher.actor import Fetcher, FetcherSettings, Neighbours
from actors.limiter.actor import PROTOCOL, Limiter
from actors.market.errors import CandlefleetError
from actors.monitor.actor import Monitor
from actors.writer.actor import Writer
from actors.writer.buffer import BufferRules
from actors.writer.spool import place_of
from cluster.interrupt import Interrupt
from cluster.joining import claim_of, claimed, refuse_other_limiter

#: A new process, imports included; on a busy laptop this has taken ten seconds.
START_WITHIN_S = 60.0
_LOOK_EVERY_S = 0.25

#: One for all runs on a cluster; its ledger is where the first of them keeps its state.
LIMITER = f"limiter-{PROTOCOL}"

#: Its ledger is a file of the head node. Restarted elsewhere, it would begin with an empty one.
_HEAD = {"node:__internal_head__": 0.001}

#: Of the limiter, of all runs together: those that wait for a permit must not keep others from being heard.
CALLERS_AT_MOST = 20_000

# A died actor comes back, but what it was doing is not done again behind our back: a repeated task would
# send a request without a permit. Dispatch sends chunks again, with new permits.
# No CPUs are claimed: the fleet waits for the network, and must also fit on a laptop of two.
_ANY = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": 0}


@dataclass(frozen=True)
class Crew:
    limiter: Any
    writer: Any
    monitor: Any
    fetchers: dict[str, Any]  # by name: fetcher-1, fetcher-2 ...

    def everyone(self) -> list[Any]:
        return [self.limiter, self.writer, self.monitor, *self.fetchers.values()]

    def dismiss_fetchers(self) -> None:
        """Once there is nothing left to fetch: tidying needs the memory they hold."""
        for fetcher in self.fetchers.values():
            ray.kill(fetcher, no_restart=True)


@dataclass(frozen=True, slots=True)
class CrewSettings:
    fetchers: int
    threads: int  # requests one fetcher has under way at once
    state_dir: str
    store_uri: str
    run_id: str
    buffer: BufferRules
    memory_limit_bytes: int
    fetcher: FetcherSettings


@contextmanager
def hire(settings: CrewSettings, interrupt: Interrupt) -> Iterator[Crew]:
    """All actors of a run, up and answering, unless interrupted before they are.

    They are let go at the end; the limiter stays for others.
    """
    refuse_other_limiter(LIMITER)
    crew = _engage(settings)
    try:
        _await(crew, interrupt)
        yield crew
    finally:
        for actor in [*crew.fetchers.values(), crew.writer, crew.monitor]:
            ray.kill(actor, no_restart=True)


def _await(crew: Crew, interrupt: Interrupt) -> None:
    answers = [actor.memory.remote() for actor in crew.everyone()]
    until_s = time.monotonic() + START_WITHIN_S
    while len(ray.wait(answers, num_returns=len(answers), timeout=_LOOK_EVERY_S)[1]):
        if interrupt:
            return
        if time.monotonic() > until_s:
            raise CandlefleetError(f"the actors were not up in {START_WITHIN_S:g} s")
    try:
        ray.get(answers)
    except RayActorError as error:
        reason = str(error).strip().splitlines()[0]
        raise CandlefleetError(f"an actor did not start: {reason}") from error


def _engage(settings: CrewSettings) -> Crew:
    run_id = settings.run_id
    names = Neighbours(LIMITER, claim_of(settings.store_uri), f"monitor-{run_id}")
    fetchers = [f"fetcher-{i}" for i in range(1, settings.fetchers + 1)]
    watched = (names.limiter, names.writer, *(f"{name}-{run_id}" for name in fetchers))
    keepers = settings.fetchers * settings.threads
    return Crew(
        limiter=_actor(
            Limiter,
            name=names.limiter,
            lifetime="detached",
            get_if_exists=True,
            max_concurrency=CALLERS_AT_MOST,
            resources=_HEAD,
        ).remote(settings.state_dir),
        writer=claimed(
            lambda: _actor(
                Writer,
                name=names.writer,
                scheduling_strategy=_here(),
                concurrency_groups={"keep": keepers, "commit": 1, "health": 2},
            ).remote(
                settings.store_uri,
                run_id,
                settings.buffer,
                place_of(settings.store_uri, Path(settings.state_dir)),
            ),
            settings.store_uri,
        ),
        monitor=_actor(Monitor, name=names.monitor).remote(settings.memory_limit_bytes, watched),
        fetchers={
            name: _actor(
                Fetcher,
                name=f"{name}-{run_id}",
                scheduling_strategy="SPREAD",
                concurrency_groups={"fetch": settings.threads, "probe": 1, "health": 2},
            ).remote(name, settings.fetcher, names)
            for name in fetchers
        },
    )


def _here() -> NodeAffinitySchedulingStrategy:
    """The driver's node. What a dead writer's spool holds is looked for there, by the next run too."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def _actor(room: type, *, concurrency_groups: dict[str, int] | None = None, **options: Any) -> Any:
    """The class as an actor, ready to be made with `.remote(...)`."""
    groups = {"concurrency_groups": concurrency_groups} if concurrency_groups else {}
    # Ray's own annotations know neither groups nor classes that are not decorated where they stand.
    remote: Any = ray.remote
    return remote(**_ANY, **groups)(room).options(**options)
