"""What a permit costs where the budget is free: from eight threads each of four actors, and from one."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from statistics import median, quantiles
from typing import Any

import ray
from rich.console import Console

from actors.fetcher.desk import Desk
from actors.limiter.actor import Limiter
from actors.limiter.terms import Fate, Permit, Settlement, Terms
from actors.market.window import NS_PER_S, Window
from cluster.crew import CALLERS_AT_MOST

FETCHERS = 4
THREADS = 8
SECONDS = 5.0
TERMS = Terms("benchmark", (Window(1_000_000, NS_PER_S),), timeout_s=30.0)


class Spender:
    """Asks for permits and returns them at once, as a fetcher would between requests."""

    def __init__(self, name: str, limiter: Any) -> None:
        self._name = name
        self._limiter = limiter
        self._desk = Desk(self._acquire, self._settle, 60.0)

    def spend(self, threads: int, seconds: float) -> list[float]:
        """How long each permit took, in seconds."""
        waits_s: list[float] = []

        def one() -> None:
            until_s = time.perf_counter() + seconds
            while (began_s := time.perf_counter()) < until_s:
                permit = self._desk.permit(TERMS)
                waits_s.append(time.perf_counter() - began_s)
                assert permit is not None
                self._desk.settle(Settlement(TERMS, permit.number, Fate.ANSWERED))

        running = [threading.Thread(target=one) for _ in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        return waits_s

    def _acquire(self, terms: Terms, count: int) -> list[Permit]:
        asked = self._limiter.acquire.remote(terms, "run", self._name, count)
        permits: list[Permit] = ray.get(asked, timeout=60)
        return permits

    def _settle(self, settlements: Sequence[Settlement]) -> None:
        ray.get(self._limiter.settle.remote(settlements), timeout=60)


def run(rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        ray.init("local", include_dashboard=False, log_to_driver=False)
        try:
            said = list(_measured(folder, rounds))
        finally:
            ray.shutdown()
    console = Console(width=110, highlight=False)
    for line in said:
        console.print(line)


def _measured(folder: str, rounds: int) -> Iterator[str]:
    remote: Any = ray.remote
    limiter = remote(num_cpus=0, max_concurrency=CALLERS_AT_MOST)(Limiter).remote(folder)
    spenders = [
        remote(num_cpus=0)(Spender).remote(f"fetcher-{i}", limiter) for i in range(FETCHERS)
    ]
    ray.get([spender.spend.remote(1, 0.5) for spender in spenders], timeout=120)  # warm
    for title, crew, threads in (
        (f"{FETCHERS} fetchers x {THREADS} threads", spenders, THREADS),
        ("1 fetcher x 1 thread", spenders[:1], 1),
    ):
        each = [_measure(crew, threads) for _ in range(rounds)]
        rate, middle_ms, late_ms = (median(figures) for figures in zip(*each, strict=True))
        yield (
            f"permits: {title}: {rate:,.0f} a second;"
            f" added {middle_ms:.2f} ms at the median, {late_ms:.2f} ms at the 99th percentile"
            f" (medians of {rounds})"
        )


def _measure(spenders: list[Any], threads: int) -> tuple[float, float, float]:
    told = ray.get([spender.spend.remote(threads, SECONDS) for spender in spenders], timeout=120)
    waits_s = [wait_s for each in told for wait_s in each]
    late_s = quantiles(waits_s, n=100)[-1]
    return len(waits_s) / SECONDS, 1_000 * median(waits_s), 1_000 * late_s
