"""A month of 1-minute bars of 200 shares from an exchange without limits, beside three other ways."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median

import psutil
from rich.console import Console
from rich.table import Table

from cluster.lookalike.launch import Lookalike, run_lookalike
from cluster.lookalike.settings import Settings
from tests.benchmarks import fleet
from tests.benchmarks.job import Job
from tests.benchmarks.listed import shares, warm
from tests.benchmarks.meter import Measured, last_written_s, measure

SHARES = 200
DAYS = ("2024-01-01", "2024-01-31")
ENDS_WITHIN_S = 210.0  # no round is begun that would surely take longer
MB = 1e6
WIDTH = 120


@dataclass(frozen=True, slots=True)
class Result:
    """Of one contestant in one round."""

    rows: float
    seconds: float  # of the whole command
    steady_s: float  # from the first request to the last file
    cpu_s: float
    steady_cpu_s: float
    peak_bytes: float
    exchange_cpu_s: float

    def speed(self) -> tuple[float, ...]:
        """Larger is better: rows a second, whole and steady."""
        return self.rows / self.seconds, self.rows / self.steady_s

    def cost(self) -> tuple[float, ...]:
        """Smaller is better: CPU seconds for a million rows, whole and steady; bytes."""
        millions = self.rows / 1e6
        return self.cpu_s / millions, self.steady_cpu_s / millions, self.peak_bytes


Contestant = Callable[[Lookalike, Job, Path], tuple[Measured, int, float]]


def run(rounds: int) -> None:
    """Interleaved, and each round begins with another, so that no one has the machine's best hour."""
    settings = Settings(windows=(), cache_mb=512, log_arrivals=True)
    results: dict[str, list[Result]] = {name: [] for name in CONTESTANTS}
    with run_lookalike(settings) as exchange:
        job = Job(exchange.base_url, shares(SHARES, DAYS[0]), *DAYS)
        rows = warm(job)
        began_s = time.monotonic()
        for done in range(rounds):
            names = [*CONTESTANTS][done:] + [*CONTESTANTS][:done]
            for name in names:
                results[name].append(_compete(CONTESTANTS[name], exchange, job))
            spent_s = time.monotonic() - began_s
            if spent_s + spent_s / (done + 1) > ENDS_WITHIN_S:
                break
    _show({name: _medians(each) for name, each in results.items()}, rows, done + 1)


def _compete(contestant: Contestant, exchange: Lookalike, job: Job) -> Result:
    exchange.reset()
    server = psutil.Process(exchange.pid)
    before_s = sum(server.cpu_times()[:2])
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        done, rows, last_s = contestant(exchange, job, Path(folder))
    first_s = first_request_s(exchange)
    return Result(
        rows=rows,
        seconds=done.seconds,
        steady_s=last_s - first_s,
        cpu_s=done.cpu_s,
        steady_cpu_s=done.cpu_between(first_s, last_s),
        peak_bytes=done.peak_bytes,
        exchange_cpu_s=sum(server.cpu_times()[:2]) - before_s,
    )


def first_request_s(exchange: Lookalike) -> float:
    """On the clock of time.monotonic(): it is the machine's, and the look-alike's too."""
    return min(at_ns for at_ns, _, _ in exchange.judge(with_log=True)["log"]) / 1e9


def _scan(exchange: Lookalike, job: Job, folder: Path) -> tuple[Measured, int, float]:
    wanted = fleet.config(job.keys, ["1minute"], (job.first, job.last))
    done = fleet.scan(exchange, wanted, folder)
    return done, fleet.summary(done)["rows"], last_written_s(folder, "store/*/_delta_log/*.json")


def _peer(name: str) -> Contestant:
    def compete(exchange: Lookalike, job: Job, folder: Path) -> tuple[Measured, int, float]:
        told, out = folder / "job.json", folder / "out"
        job.write(told)
        out.mkdir()
        command = [sys.executable, "-m", f"tests.benchmarks.peers.{name}", str(told), str(out)]
        done = measure(command, fleet.environment())
        return done, int(done.stdout), last_written_s(out, "*.*")

    return compete


SEED = "threads, pandas, CSV"
CONTESTANTS: dict[str, Contestant] = {
    "candlefleet scan": _scan,
    SEED: _peer("seed"),
    "official SDK, pandas, Parquet": _peer("sdk"),
    "careful script, Arrow, Parquet": _peer("careful"),
}


def _medians(results: list[Result]) -> Result:
    """Each figure's own median."""
    return Result(*(median(figures) for figures in zip(*map(astuple, results), strict=True)))


def _show(results: dict[str, Result], rows: int, rounds: int) -> None:
    table = Table(
        *("", "s\nwhole", "s\nsteady", "rows/s\nwhole", "rows/s\nsteady"),
        *("CPU s/M rows\nwhole", "CPU s/M rows\nsteady", "peak\nMB", "exchange\nCPU s"),
        title=f"fetch: {SHARES} instruments, {rows:,} rows, median of {rounds}",
        caption="steady: from the first request to the last file written",
    )
    for name, one in results.items():
        whole, steady = one.speed()
        cpu, steady_cpu, peak = one.cost()
        table.add_row(
            name if one.rows == rows else f"{name} ({one.rows:,.0f} rows!)",
            *(f"{one.seconds:.2f}", f"{one.steady_s:.2f}", f"{whole:,.0f}", f"{steady:,.0f}"),
            *(f"{cpu:.2f}", f"{steady_cpu:.2f}", f"{peak / MB:,.0f}", f"{one.exchange_cpu_s:.2f}"),
        )
    for shown in (table, _ratios(results)):
        for column in shown.columns[1:]:
            column.justify = "right"
        Console(width=WIDTH).print(shown)


def _ratios(results: dict[str, Result]) -> Table:
    kinds = ("rows/s, whole", "rows/s, steady", "CPU, whole", "CPU, steady", "memory")
    table = Table("", *kinds, title=f"times as good as {SEED!r}")
    base = results[SEED]
    for name, one in results.items():
        ratios = [mine / theirs for mine, theirs in zip(one.speed(), base.speed(), strict=True)]
        ratios += [theirs / mine for mine, theirs in zip(one.cost(), base.cost(), strict=True)]
        table.add_row(name, *(f"{ratio:.2f}" for ratio in ratios))
    return table
