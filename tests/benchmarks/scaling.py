"""Rows a second over 1, 2 and 4 fetcher processes; the exchange has no limits and knows every answer."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from cluster.lookalike.launch import Lookalike, run_lookalike
from cluster.lookalike.settings import Settings
from tests.benchmarks import fleet
from tests.benchmarks.fetch import first_request_s
from tests.benchmarks.job import Job
from tests.benchmarks.listed import shares, warm
from tests.benchmarks.meter import last_written_s

SHARES = 200
DAYS = ("2024-01-01", "2024-01-31")
FETCHERS = (1, 2, 4)
THREADS = 8  # of all fetchers together, so that only the number of processes differs


def run(rounds: int) -> None:
    paces: dict[int, list[float]] = {fetchers: [] for fetchers in FETCHERS}
    with run_lookalike(Settings(windows=(), cache_mb=512, log_arrivals=True)) as exchange:
        warm(Job(exchange.base_url, shares(SHARES, DAYS[0]), *DAYS))
        for _ in range(rounds):
            for fetchers in FETCHERS:
                paces[fetchers].append(_pace(exchange, fetchers))
    table = Table(
        *("fetchers", "threads each", "rows/s, steady", "times one"),
        title=f"scaling: {SHARES} instruments, a month of 1-minute bars, median of {rounds}",
        caption="steady: from the first request to the last file written",
    )
    base = median(paces[FETCHERS[0]])
    for fetchers, found in paces.items():
        pace = median(found)
        threads = str(THREADS // fetchers)
        table.add_row(str(fetchers), threads, f"{pace:,.0f}", f"{pace / base:.2f}")
    for column in table.columns:
        column.justify = "right"
    Console(width=110).print(table)


def _pace(exchange: Lookalike, fetchers: int) -> float:
    """Rows a second."""
    exchange.reset()
    wanted = fleet.config(shares(SHARES, DAYS[0]), ["1minute"], DAYS)
    wanted["fleet"] = {"fetchers": fetchers, "threads": THREADS // fetchers}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as named:
        folder = Path(named)
        rows: int = fleet.summary(fleet.scan(exchange, wanted, folder))["rows"]
        last_s = last_written_s(folder, "store/*/_delta_log/*.json")
    return rows / (last_s - first_request_s(exchange))
