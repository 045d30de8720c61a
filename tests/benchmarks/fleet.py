"""Starts candlefleet as a user does, in folders of its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from cluster.lookalike.launch import Lookalike
from tests.benchmarks.meter import Measured, measure

#: So much that it never holds anybody up.
NO_WINDOWS = ((1_000_000, 1.0),)


def config(
    keys: Sequence[str],
    timeframes: Sequence[str],
    days: tuple[str, str],
    windows: Sequence[tuple[int, float]] = NO_WINDOWS,
) -> dict[str, Any]:
    return {
        "universe": {"symbols": list(keys)},
        "timeframes": list(timeframes),
        "dates": {"from": days[0], "to": days[1]},
        "budget": {"windows": [{"limit": n, "seconds": s} for n, s in windows]},
    }


def scan(
    exchange: Lookalike, wanted: dict[str, Any], folder: Path, within_s: float = 120.0
) -> Measured:
    """One scan into `folder`, which must be new: its store, its budget and its caches are there."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(wanted))
    url = exchange.base_url
    command = [sys.executable, "-m", "cluster", "scan", str(path), "--json"]
    command += ["--store", str(folder / "store"), "--base-url", url, "--assets-url", url]
    return measure(command, environment_of(folder), within_s)


def environment() -> dict[str, str]:
    """This one, less what would make a scan another one, with this source first."""
    own = {"UPSTOX_ACCESS_TOKEN", "RAY_ADDRESS"}
    kept = {name: value for name, value in os.environ.items() if name not in own}
    return kept | {"PYTHONPATH": str(Path(__file__).parents[2])}


def environment_of(folder: Path) -> dict[str, str]:
    """The same, with what outlives a run in `folder`."""
    return environment() | {"CANDLEFLEET_STATE_DIR": str(folder / "state")}


def summary(done: Measured) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def event_at(folder: Path, event: str) -> float:
    """time.time() of the last such line in the run's log."""
    (log,) = (folder / "store" / "runs").glob("*/log.jsonl")
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    stamps = [entry["at"] for entry in entries if entry["event"] == event]
    return datetime.fromisoformat(stamps[-1]).timestamp()
