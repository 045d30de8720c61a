"""Whether ten times the work takes more memory: 200, 2,000 and 20,000 chunks, no limits of the exchange.

A chunk is a month of 5-minute bars, so that 20,000 take minutes. What bounds the writer is scaled down with
them, so that already the smallest run reaches it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cluster.lookalike.launch import run_lookalike
from cluster.lookalike.settings import Settings
from tests.benchmarks import fleet
from tests.benchmarks.listed import shares
from tests.benchmarks.meter import Failed, Measured

MB = 1e6
FIRST = "2022-01-01"  # the provider has no minutes before
#: Chunks of a run: shares, and the last day of ten months or of forty.
RUNS = {
    200: (20, "2022-10-31"),
    2_000: (200, "2022-10-31"),
    20_000: (500, "2025-04-30"),
}
WITHIN_S = 3_600.0
GROWTH_AT_MOST = 1.1  # a hundred times the work


def run(_rounds: int) -> None:
    """One of each size: a peak is the worst of its run, and the largest run takes its time."""
    runs = {size: _peaks(size) for size in RUNS}
    for size, done in runs.items():
        found = fleet.summary(done)["planned"]
        if abs(found - size) > size // 20:
            raise Failed(f"{found} chunks instead of {size}")
    table = Table(
        *("chunks", "s", "all processes\nMB", "times\nthe smallest"),
        title="memory: peaks of proportional set size",
    )
    names = sorted({name for done in runs.values() for name in done.peaks})
    for name in names:
        table.add_column(name)
    least = min(runs)
    for size, done in runs.items():
        table.add_row(
            *(f"{size:,}", f"{done.seconds:.0f}", f"{done.peak_bytes / MB:,.0f}"),
            f"{done.peak_bytes / runs[least].peak_bytes:.2f}",
            *(f"{done.peaks.get(name, 0) / MB:,.0f}" for name in names),
        )
    for column in table.columns:
        column.justify = "right"
    Console(width=140).print(table)
    growth = max(done.peak_bytes for done in runs.values()) / runs[least].peak_bytes
    if growth > GROWTH_AT_MOST:
        raise Failed(f"the work took {growth:.2f} times the memory, more than {GROWTH_AT_MOST}")


def _peaks(size: int) -> Measured:
    count, last = RUNS[size]
    wanted = fleet.config(shares(count, FIRST), ["5minute"], (FIRST, last))
    wanted["writer"] = {"commit_bytes_mb": 4}
    with (
        run_lookalike(Settings(windows=(), cache_mb=0)) as exchange,
        tempfile.TemporaryDirectory(prefix="benchmark-") as folder,
    ):
        return fleet.scan(exchange, wanted, Path(folder), WITHIN_S)
