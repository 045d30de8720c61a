"""Hires the actors: the only place that names them, places them, or says how they restart."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from actors.fetcher.actor import Fetcher, FetcherSettings, Neighbours, probes_of
from actors.limiter.actor import PROTOCOL, Limiter
from actors.monitor.actor import Monitor
from actors.writer.actor import Writer
from actors.writer.buffer import BufferRules
from actors.writer.spool import place_of
from cluster.calls import Gone, answer, did_not_start, never_started
from cluster.interrupt import Interrupt
from cluster.joining import claim_of, claimed, known_nodes, name_of, refuse_other_limiter
from cluster.placement import Places
from cluster.startup import START_WITHIN_S, Startup

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.25
HEAD_WITHIN_S = 1.0

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


#: Of a node's memory, which every node has. Ray may overlook where it was told, but not forced, to start an
#: actor that claims nothing at all: it did so with three of four (2.60, measured), and with none of those
#: that claim a byte.
_CLAIM_BYTES = 1


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


class Crew:
    """The actors of a run, and where its fetchers are."""

    def __init__(self, settings: CrewSettings) -> None:
        run_id = settings.run_id
        self._settings = settings
        self._names = Neighbours(LIMITER, claim_of(settings.store_uri), f"monitor-{run_id}")
        names = [f"fetcher-{i}" for i in range(1, settings.fetchers + 1)]
        self._places = Places(names, _nodes())
        self._barren_told: set[str] = set()  # nodes
        self.unheard = set(names)  # fetchers that have not started yet
        self.writer: Any = None
        self.monitor: Any = None
        self.limiter = _limiter(settings, self._names)
        #: By name: fetcher-1, fetcher-2 ...
        self.fetchers = {names[0]: self._fetcher(names[0])}

    def complete(self) -> None:
        """Hire those without whom requests can be sent: a process that starts takes a core for a second."""
        self.writer = _writer(self._settings, self._names)
        self.monitor = _monitor(self._settings, self._names, list(self._places.of))
        self.fetchers |= {n: self._fetcher(n) for n in self._places.of if n not in self.fetchers}

    def _fetcher(self, name: str) -> Any:
        return _hired_fetcher(self._settings, self._names, name, self._places.of[name])

    def dismiss_fetchers(self) -> None:
        """Once there is nothing left to fetch: tidying needs the memory they hold."""
        for fetcher in self.fetchers.values():
            ray.kill(fetcher, no_restart=True)

    def dismiss(self) -> None:
        """Let all go but the limiter."""
        self.dismiss_fetchers()
        for actor in filter(None, (self.writer, self.monitor)):
            ray.kill(actor, no_restart=True)

    def located(self, fetcher: str, node: str) -> None:
        """It says so itself: Ray may have put it elsewhere than it was told to."""
        facts = {"fetcher": fetcher, "node": node}
        if fetcher in self.unheard:
            log.info("fetcher.started", extra=facts)
            self.unheard.remove(fetcher)
        else:
            log.warning("fetcher.returned", extra=facts)
        self._places.started(fetcher, node)

    def head_answers(self) -> bool:
        """Whether anybody listens there. Ray's own calls would wait for it, and then end this process."""
        host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), HEAD_WITHIN_S).close()
        except OSError:
            return False
        return True

    def move_due(self) -> tuple[str, str] | None:
        """A fetcher that should move, and the node it should move to."""
        return self._places.move_due(_nodes())

    def hush(self, fetcher: str) -> None:
        """What it waits for a permit to send comes back unsent."""
        for run_id in (self._settings.run_id, probes_of(self._settings.run_id)):
            self.limiter.abandon.remote(run_id, fetcher)

    def move(self, fetcher: str, node: str) -> bool:
        """Let a fetcher go, and hire another in its name; False: the name is still taken, try again."""
        # At once, or it would be due to move again, and be killed, until it has started and says where it is.
        self._places.of[fetcher] = node
        return self.start_again(fetcher)

    def start_again(self, fetcher: str) -> bool:
        """Where it should be; False: its name is still taken, try again."""
        ray.kill(self.fetchers[fetcher], no_restart=True)
        try:
            self.fetchers[fetcher] = self._fetcher(fetcher)
        except ValueError:
            return False
        return True

    def failed_to_start(self, fetcher: str, reason: str) -> float:
        """Where it was told to. Returns how many seconds to wait before it is to `start_again`."""
        barren = self._places.of[fetcher]
        wait_s = self._places.failed(fetcher, _nodes())
        node = self._places.of[fetcher]
        places = {"node": barren, "host": _host(barren), "instead": node, "other": _host(node)}
        level = logging.INFO if barren in self._barren_told else logging.WARNING  # once a node
        facts = {"fetcher": fetcher, **places, "wait_s": wait_s, "error": reason}
        log.log(level, "node.barren", extra=facts)
        self._barren_told.add(barren)
        return wait_s


@contextmanager
def hire(settings: CrewSettings, interrupt: Interrupt) -> Iterator[Crew]:
    """The actors of a run, once one fetcher and the limiter are there, or interrupted; others are starting.

    They are let go at the end; the limiter stays for others.
    """
    refuse_other_limiter(LIMITER)
    crew = Crew(settings)
    try:
        _await(crew, interrupt)
        crew.complete()
        yield crew
    finally:
        crew.dismiss()


def _await(crew: Crew, interrupt: Interrupt) -> None:
    """Those that a crew begins with. One that died meanwhile, or whose word got lost, is asked again."""
    asks = {name: fetcher.node.remote for name, fetcher in crew.fetchers.items()}
    asks |= {"limiter": crew.limiter.memory.remote}
    asked, startup = {ask(): name for name, ask in asks.items()}, Startup(time.monotonic())
    while asked and not interrupt:
        late = startup.look(time.monotonic(), list(asked.values()))
        if late is not None:
            log.warning("fleet.starting", extra={"actors": late, "at_most_s": START_WITHIN_S})
        there, _ = ray.wait(list(asked), num_returns=len(asked), timeout=_LOOK_EVERY_S)
        answers = [(asked.pop(ref), ref) for ref in there]
        missed = [name for name, ref in answers if not _is_there(crew, name, ref)]
        time.sleep(_LOOK_EVERY_S if missed else 0)
        asked |= {asks[name](): name for name in missed}


def _is_there(crew: Crew, name: str, ref: Any) -> bool:
    try:
        told = answer(ref)
    except Gone as error:
        if never_started(error):
            raise did_not_start(name, error) from error
        return False
    if name in crew.fetchers:
        crew.located(name, told)
    return True


def _limiter(settings: CrewSettings, names: Neighbours) -> Any:
    return _actor(
        Limiter,
        name=names.limiter,
        lifetime="detached",
        get_if_exists=True,
        max_concurrency=CALLERS_AT_MOST,
        resources=_HEAD,
    ).remote(settings.state_dir)


def _writer(settings: CrewSettings, names: Neighbours) -> Any:
    """On the driver's node: what a dead one's spool holds is looked for there, by the next run too."""
    keepers = settings.fetchers * settings.threads
    writer = _actor(
        Writer,
        name=names.writer,
        scheduling_strategy=NodeAffinitySchedulingStrategy(_own_node(), soft=False),
        concurrency_groups={"keep": keepers, "commit": 1, "health": 2},
    )
    spool = place_of(settings.store_uri, Path(settings.state_dir))
    given = (settings.store_uri, settings.run_id, settings.buffer, spool)
    return claimed(lambda: writer.remote(*given), settings.store_uri)


def _monitor(settings: CrewSettings, names: Neighbours, fetchers: Sequence[str]) -> Any:
    """On the driver's node, without which there is no run: so no other one's loss is its own."""
    watched = (names.limiter, names.writer, *(f"{name}-{settings.run_id}" for name in fetchers))
    return _actor(
        Monitor,
        name=names.monitor,
        scheduling_strategy=NodeAffinitySchedulingStrategy(_own_node(), soft=False),
    ).remote(settings.memory_limit_bytes, watched)


def _hired_fetcher(settings: CrewSettings, names: Neighbours, name: str, node: str) -> Any:
    """On `node`, or on any other once that is gone."""
    return _actor(
        Fetcher,
        name=f"{name}-{settings.run_id}",
        memory=_CLAIM_BYTES,
        scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=True),
        concurrency_groups={"fetch": settings.threads, "probe": 1, "health": 2},
    ).remote(name, settings.fetcher, names)


def _own_node() -> str:
    node: str = ray.get_runtime_context().get_node_id()
    return node


def _nodes() -> list[str]:
    """Those that are alive, the driver's own first."""
    alive = [node["NodeID"] for node in known_nodes() if node["Alive"]]
    return sorted(alive, key=lambda node: (node != _own_node(), node))


def _host(node: str) -> str:
    return next((name_of(each) for each in known_nodes() if each["NodeID"] == node), node)


def _actor(room: type, *, concurrency_groups: dict[str, int] | None = None, **options: Any) -> Any:
    """The class as an actor, ready to be made with `.remote(...)`."""
    groups = {"concurrency_groups": concurrency_groups} if concurrency_groups else {}
    # Ray's own annotations know neither groups nor classes that are not decorated where they stand.
    remote: Any = ray.remote
    return remote(**_ANY, **groups)(room).options(**options)
