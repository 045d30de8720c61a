"""1,000 requests under the published limits, twice as fast, beside the least time they allow."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rich.console import Console

from actors.limiter.simulate import seconds_at_least
from actors.market.window import NS_PER_S, Window
from cluster.lookalike.launch import run_lookalike
from cluster.lookalike.settings import PUBLISHED_WINDOWS, Settings
from tests.benchmarks import fleet
from tests.benchmarks.listed import shares

DAYS = ("2024-01-01", "2024-01-31")
TIMEFRAMES = ("1day", "1hour")
SHARES = 500
# Delays of the machine weigh as many times more, and a small one could not keep up with much more.
FASTER = 2
WINDOWS = tuple((limit, seconds / FASTER) for limit, seconds in PUBLISHED_WINDOWS)


def run(_rounds: int) -> None:
    """Once: it is the budget that makes it long, not the machine."""
    requests = SHARES * len(TIMEFRAMES)
    bound_s = seconds_at_least(requests, [Window(n, round(s * NS_PER_S)) for n, s in WINDOWS])
    wanted = fleet.config(shares(SHARES, DAYS[0]), TIMEFRAMES, DAYS, WINDOWS)
    with (
        run_lookalike(Settings(windows=WINDOWS, log_arrivals=True)) as exchange,
        tempfile.TemporaryDirectory(prefix="benchmark-") as folder,
    ):
        done = fleet.scan(exchange, wanted, Path(folder))
        judged = exchange.judge(with_log=True)
    stamps = [at_ns for at_ns, _, _ in judged["log"]]
    took_s = (max(stamps) - min(stamps)) / NS_PER_S
    console = Console(width=110, highlight=False)
    console.print(f"budget_bound: {judged['requests']:,} requests ({requests:,} planned)")
    console.print(f"  first to last request {took_s:.2f} s; the bound is {bound_s:.2f} s")
    console.print(
        f"  over the bound {took_s / bound_s - 1:+.1%}; the whole command {done.seconds:.2f} s"
    )
    for window in judged["windows"]:
        console.print(
            f"  at worst {window['worst']} of {window['limit']} in {window['seconds']:g} s,"
            f" {window['refused']} refused"
        )
