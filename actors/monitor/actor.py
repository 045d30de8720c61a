from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import ray

from actors.market.memory import MemorySample, sample
from actors.monitor.memory import Held, HostMemory, MemoryGate, Silence, Squeeze, by_host
from actors.monitor.progress import Counters, Progress, Tally

SAMPLE_EVERY_S = 1.0
ANSWER_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    progress: Progress
    hosts: tuple[HostMemory, ...]
    squeeze: Squeeze | None  # memory is short; None: go on


class Monitor:
    """Counts what the fleet does and watches what it holds in memory, on every host."""

    def __init__(self, memory_limit_bytes: int, watched: tuple[str, ...]) -> None:
        """`watched`: names of actors that answer `memory()`. Names, so that a restart finds them."""
        self._counters = Counters(time.monotonic())
        self._gate = MemoryGate(memory_limit_bytes)
        self._watched = watched
        self._held = Held()
        self._sampler: asyncio.Task[None] | None = None

    async def count(self, tallies: list[Tally]) -> None:
        now_s = time.monotonic()
        for tally in tallies:
            self._counters.add(tally, now_s)

    async def snapshot(self, driver: MemorySample) -> Snapshot:
        """How things stand. The driver, being no actor, brings its own sample."""
        self._sampler = self._sampler or asyncio.create_task(self._keep_sampling())
        hosts = tuple(by_host([driver, sample(), *self._held.samples()]))
        now_s = time.monotonic()
        return Snapshot(
            progress=self._counters.progress(now_s),
            hosts=hosts,
            squeeze=self._gate.update(hosts, now_s),
        )

    async def memory(self) -> MemorySample:
        return sample()

    async def _keep_sampling(self) -> None:
        while True:
            await asyncio.gather(*map(self._sample, self._watched))
            await asyncio.sleep(SAMPLE_EVERY_S)

    async def _sample(self, name: str) -> None:
        self._held.hear(name, await _asked(name))


async def _asked(name: str) -> MemorySample | Silence:
    try:
        actor: Any = ray.get_actor(name)
        # wrap_future: awaiting an ObjectRef itself leaks (ray issue 45895).
        answer = asyncio.wrap_future(actor.memory.remote().future())
        told: MemorySample = await asyncio.wait_for(answer, ANSWER_WITHIN_S)
    except (ray.exceptions.RayActorError, ValueError):
        return Silence.DEAD  # or restarting
    except (ray.exceptions.RayError, TimeoutError):
        return Silence.BUSY
    return told
