"""Starts candlefleet as a user does, in folders of its own."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import yaml

from cluster.lookalike.launch import Lookalike
from tests.benchmarks.meter import Measured, measure
from tests.together.conftest import actors_of, events

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
    (folder / "config.yaml").write_text(yaml.safe_dump(wanted))
    return measure(command(exchange, folder), environment_of(folder), within_s)


def command(exchange: Lookalike, folder: Path, store: str | None = None) -> list[str]:
    """A scan by the config in `folder`; into a store there, unless another is named."""
    url, store = exchange.base_url, store or str(folder / "store")
    words = [sys.executable, "-m", "cluster", "scan", str(folder / "config.yaml"), "--json"]
    return [*words, "--store", store, "--base-url", url, "--assets-url", url]


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
    last = events(folder / "store", event)[-1]
    return datetime.fromisoformat(last["at"]).timestamp()


def kill_one(driver: subprocess.Popen[Any], actor: str, dice: random.Random) -> bool:
    """Any of the driver's actors of this class; False: it is just being restarted."""
    with suppress(psutil.NoSuchProcess, IndexError):
        dice.choice(actors_of(driver.pid, actor)).kill()
        return True
    return False
