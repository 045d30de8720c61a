"""Where the seconds between the command and its first request go, alone and with a cluster that is up."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from cluster.lookalike.launch import Lookalike, run_lookalike
from cluster.lookalike.settings import Settings
from tests.benchmarks import fleet
from tests.benchmarks.fetch import first_request_s
from tests.benchmarks.listed import shares
from tests.benchmarks.meter import last_written_s, measure

DAYS = ("2024-01-01", "2024-01-31")
IMPORTS = "import cluster.cli, cluster.config, cluster.scan, time; print(time.monotonic())"
SAID_ONCE_RAY_IS_UP = "Fetching "

Steps = dict[str, float]


def run(rounds: int) -> None:
    """In turns, so that both meet the machine's good and bad minutes."""
    alone, kept = list[Steps](), list[Steps]()
    with run_lookalike(Settings(windows=(), log_arrivals=True)) as exchange:
        for _ in range(rounds):
            with _folder() as folder:
                alone.append(_observe(exchange, folder))
            with _folder() as folder, _up(folder):
                kept.append(_observe(exchange, folder))
    table = Table(
        *("", "cluster of\nits own", "after\n`up`"),
        title=f"startup: s from the command on, median of {rounds}",
    )
    for step in alone[0]:
        table.add_row(step, *(f"{median(s[step] for s in steps):.2f}" for steps in (alone, kept)))
    for column in table.columns[1:]:
        column.justify = "right"
    Console(width=110).print(table)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as named:
        yield Path(named)


@contextmanager
def _up(folder: Path) -> Iterator[None]:
    measure([sys.executable, "-m", "cluster", "up"], fleet.environment_of(folder))
    try:
        yield
    finally:
        measure([sys.executable, "-m", "cluster", "down"], fleet.environment_of(folder))


def _observe(exchange: Lookalike, folder: Path) -> Steps:
    """Steps in order. The moments come from the run's log, its stderr and the judge."""
    exchange.reset()
    imports = measure([sys.executable, "-c", IMPORTS], fleet.environment())
    imports_s = float(imports.stdout) - imports.began_s
    done = fleet.scan(exchange, fleet.config(shares(20, DAYS[0]), ["1day"], DAYS), folder)
    clock_s = time.monotonic() - time.time()
    planned_s = fleet.event_at(folder, "run.started") + clock_s
    hired_s = fleet.event_at(folder, "fleet.hired") + clock_s
    committed_s = last_written_s(folder, "store/*/_delta_log/*.json")
    ray_s = next(at_s for at_s, line in done.stderr if line.startswith(SAID_ONCE_RAY_IS_UP))
    request_s = first_request_s(exchange)
    return {
        "imports, config, instrument master, plan": planned_s - done.began_s,
        "  of these, imports, measured apart": imports_s,
        "import of Ray, what is left of its start, joining it": ray_s - planned_s,
        "actors": hired_s - ray_s,
        "first permit, first request": request_s - hired_s,
        "to the first request, in all": request_s - done.began_s,
        "20 requests, from the first to the last commit": committed_s - request_s,
        "end of the fleet": done.began_s + done.seconds - committed_s,
    }
