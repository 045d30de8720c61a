"""When `plan` says a scan will be done, and when it is: three scans on one account, one after another.

Each finds what the ones before have spent. The widest window is made so narrow that the third must wait
for it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

from cluster.lookalike.launch import Lookalike, run_lookalike
from cluster.lookalike.settings import Settings
from tests.benchmarks import fleet
from tests.benchmarks.listed import shares

WINDOWS = ((50, 1.0), (500, 60.0), (1_500, 300.0))
LATENCY_S = 0.08
DAYS = ("2024-01-01", "2024-01-31")
#: Shares and timeframes: so many requests each.
SCANS = ((300, ("1day", "1hour")), (350, ("1day", "1hour")), (250, ("1day", "1hour")))
WITHIN_S = 600


@dataclass(frozen=True, slots=True)
class Result:
    requests: int
    left: int  # of the widest window, before
    predicted_s: float  # from the command to the last answer
    took_s: float
    command_s: float  # the whole command, its end included


def run(_rounds: int) -> None:
    """Once: it is the windows that make it long."""
    settings = Settings(
        windows=WINDOWS, latency_s=LATENCY_S, jitter_s=LATENCY_S / 2, log_arrivals=True
    )
    table = Table("scan", "requests", "left before", "predicted", "took", "off by", "command")
    with (
        run_lookalike(settings) as exchange,
        tempfile.TemporaryDirectory(prefix="benchmark-") as folder,
    ):
        for number, (count, timeframes) in enumerate(SCANS, start=1):
            one = _scan(exchange, Path(folder), number, count, timeframes)
            table.add_row(
                *(str(number), f"{one.requests:,}", f"{one.left:,} of {WINDOWS[-1][0]:,}"),
                *(f"{one.predicted_s:.1f} s", f"{one.took_s:.1f} s"),
                *(f"{one.predicted_s / one.took_s - 1:+.1%}", f"{one.command_s:.1f} s"),
            )
        refused = exchange.judge()["refused"]
    console = Console(width=110, highlight=False)
    console.print(table)
    console.print(f"{refused} refused")


def _scan(
    exchange: Lookalike, folder: Path, number: int, count: int, timeframes: tuple[str, ...]
) -> Result:
    config = folder / f"{number}.yaml"
    wanted = fleet.config(shares(count, DAYS[0]), timeframes, DAYS, WINDOWS)
    config.write_text(yaml.safe_dump(wanted))
    before = exchange.judge()["requests"]
    planned = json.loads(_run(exchange, folder, number, "plan", config))
    began_s = time.monotonic()
    _run(exchange, folder, number, "scan", config)
    ended_s = time.monotonic()
    log = exchange.judge(with_log=True)["log"]
    assert len(log) - before == planned["requests"], "some were sent again"
    # time.monotonic() is the machine's: the look-alike's stamps are on the same clock.
    answered_s = max(at_ns for at_ns, _, _ in log) / 1e9 + LATENCY_S
    return Result(
        requests=planned["requests"],
        left=planned["budget"][-1]["left"],
        predicted_s=planned["seconds_expected"],
        took_s=answered_s - began_s,
        command_s=ended_s - began_s,
    )


def _run(exchange: Lookalike, folder: Path, number: int, verb: str, config: Path) -> str:
    url = exchange.base_url
    command = [sys.executable, "-m", "cluster", verb, str(config), "--json"]
    command += ["--store", str(folder / f"store-{number}"), "--base-url", url, "--assets-url", url]
    environment = fleet.environment() | {"CANDLEFLEET_STATE_DIR": str(folder / "state")}
    done = subprocess.run(
        command, env=environment, timeout=WITHIN_S, check=True, capture_output=True, text=True
    )
    return done.stdout
