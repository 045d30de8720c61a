"""Where the seconds between the command and its first request go."""

from __future__ import annotations

import sys
import tempfile
import time
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


def run(rounds: int) -> None:
    with run_lookalike(Settings(windows=(), log_arrivals=True)) as exchange:
        observed = [_observe(exchange) for _ in range(rounds)]
    table = Table("", "s", title=f"startup: from the command on, median of {rounds}")
    table.columns[1].justify = "right"
    for step in observed[0]:
        table.add_row(step, f"{median(each[step] for each in observed):.2f}")
    Console(width=110).print(table)


def _observe(exchange: Lookalike) -> dict[str, float]:
    """Steps in order. The moments come from the run's log, its stderr and the judge."""
    exchange.reset()
    imports = measure([sys.executable, "-c", IMPORTS], fleet.environment())
    imports_s = float(imports.stdout) - imports.began_s
    with tempfile.TemporaryDirectory(prefix="benchmark-") as named:
        folder = Path(named)
        done = fleet.scan(exchange, fleet.config(shares(20, DAYS[0]), ["1day"], DAYS), folder)
        planned_s = fleet.event_at(folder, "run.started") - time.time() + time.monotonic()
        committed_s = last_written_s(folder, "store/*/_delta_log/*.json")
    ray_s = next(at_s for at_s, line in done.stderr if line.startswith(SAID_ONCE_RAY_IS_UP))
    request_s = first_request_s(exchange)
    return {
        "imports, config, instrument master, plan": planned_s - done.began_s,
        "  of these, imports, measured apart": imports_s,
        "import of Ray, ray.init": ray_s - planned_s,
        "actors, first permit, first request": request_s - ray_s,
        "to the first request, in all": request_s - done.began_s,
        "20 requests, from the first to the last commit": committed_s - request_s,
        "end of the fleet": done.began_s + done.seconds - committed_s,
    }
