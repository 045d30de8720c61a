"""A screen beside a scan: when its matches come, and what it costs the fetching.

NIFTY 500's daily bars under the real limits, once: the first match, the last one, and whether the answer is
that of `screen` afterwards. Then a month of 1-minute bars with no limit and a commit every half second, with
and without a screen, in turns.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from cluster.bundled import bundled
from cluster.config.file import read_mapping
from cluster.lookalike.launch import Lookalike, run_lookalike
from cluster.lookalike.settings import Settings
from tests.benchmarks import fleet
from tests.benchmarks.listed import shares
from tests.benchmarks.meter import Failed, Measured, measure

DAYS = ("2024-01-01", "2024-01-31")
SHARES = 300
NEAR_HIGH = "near-52w-high"
CROSSING = """
timeframe: 1minute
where: crosses_above(EMA(close, 20), EMA(close, 50)) and RSI(14) > 50
rank: MACD(close, 12, 26, 9).macdhist / close
"""
WITHIN_S = 300.0


def run(rounds: int) -> None:
    _under_the_limits()
    seconds: dict[bool, list[float]] = {True: [], False: []}
    cpu_s: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(rounds):
        for asked in (False, True):
            done = _unlimited(asked=asked)
            seconds[asked].append(fleet.summary(done)["seconds"])
            cpu_s[asked].append(done.cpu_s)
    table = Table("a month of 1-minute bars", "s", "CPU s, all processes")
    for asked, name in ((False, "without a screen"), (True, "with one")):
        table.add_row(name, f"{median(seconds[asked]):.2f}", f"{median(cpu_s[asked]):.1f}")
    Console(width=110).print(table)


def _under_the_limits() -> None:
    wanted = read_mapping(bundled("nifty500.yaml"))
    del wanted["provider"]
    wanted["universe"]["file"] = str(bundled("universes/nifty500.csv"))
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, run_lookalike() as exchange:
        done = _scan(exchange, wanted, Path(folder), NEAR_HIGH)
        refused = exchange.judge()["refused"]
        command = [sys.executable, "-m", "cluster", "screen", NEAR_HIGH, "--format", "json"]
        command += ["--store", f"{folder}/store"]
        after = subprocess.run(
            command, env=fleet.environment(), check=True, capture_output=True, text=True
        )
    summary = fleet.summary(done)
    if _timeless(summary["answer"]) != _timeless(json.loads(after.stdout)):
        raise Failed("the scan's answer is not the screen's")
    came_s = [
        at_s - done.began_s for at_s, line in done.stderr if line.startswith(f"{NEAR_HIGH}: ")
    ]
    if not came_s:
        raise Failed("no match was shown meanwhile")
    print(
        f"one_pass: {summary['requests']} requests in {summary['seconds']:.0f} s, {refused} refused; "
        f"{summary['answer']['found']} match; of the {len(came_s)} shown meanwhile the first after "
        f"{min(came_s):.1f} s, the last after {max(came_s):.1f} s; the answer after {done.seconds:.1f} s, "
        "the same as `screen` gives afterwards",
        flush=True,
    )


def _unlimited(*, asked: bool) -> Measured:
    wanted = fleet.config(shares(SHARES, DAYS[0]), ["1minute"], DAYS)
    wanted["writer"] = {"commit_every_s": 0.5}
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-") as folder,
        run_lookalike(Settings(windows=())) as exchange,
    ):
        screen = Path(folder) / "crossing.yaml"
        screen.write_text(CROSSING)
        return _scan(exchange, wanted, Path(folder), str(screen) if asked else None)


def _scan(
    exchange: Lookalike, wanted: dict[str, Any], folder: Path, screen: str | None
) -> Measured:
    path, url = folder / "config.yaml", exchange.base_url
    path.write_text(yaml.safe_dump(wanted, default_flow_style=False))
    command = [sys.executable, "-m", "cluster", "scan", str(path), "--json"]
    command += ["--store", str(folder / "store"), "--base-url", url, "--assets-url", url]
    command += [] if screen is None else ["--screen", screen]
    return measure(command, fleet.environment_of(folder), WITHIN_S)


def _timeless(answer: dict[str, Any]) -> dict[str, Any]:
    """But for when it was asked."""
    matches = [{**match, "age_s": 0} for match in answer["matches"]]
    return answer | {"asked_at": "", "matches": matches}
