"""A run of 2,000 chunks under `kill -9`: of its driver, its writer, its fetchers, at random moments.

Part of the days stood in the store before, some of them since rewritten by a split; so there are spans
that replace others. Whatever happens, the store must end as the look-alike's market, no version of its
table may hold a candle twice, and every answered request that was not turned into a receipt is counted.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pyarrow as pa
import yaml
from deltalake import DeltaTable

from cluster.lookalike.instruments import known_instruments
from cluster.lookalike.launch import Lookalike, run_lookalike
from cluster.lookalike.market import Market
from cluster.lookalike.settings import Settings
from cluster.lookalike.split import Split
from tests.benchmarks.fleet import config, environment
from tests.benchmarks.meter import Failed

CRASHES = 50
INSTRUMENTS = 100
SPLITS = 10
#: 20 months of 5-minute bars: as many requests for each instrument.
FIRST, LAST = date(2024, 1, 1), date(2025, 8, 31)
STOOD = (date(2025, 7, 1), date(2025, 8, 20))  # in the store since yesterday
A_SECOND = 60  # requests: slow enough that a crash meets it in the middle
RUNS_WITHIN_S = 3_000.0
VICTIMS = ("driver", "Writer", "Fetcher")


@dataclass(slots=True)
class _Loop:
    folder: Path
    exchange: Lookalike
    config: dict[str, Any]
    dice: random.Random
    crashes: Counter[str] = field(default_factory=Counter)

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def scan(self, first: date, last: date) -> subprocess.Popen[str]:
        path = self.folder / "config.yaml"
        path.write_text(yaml.safe_dump(self.config))
        url = self.exchange.base_url
        command = [sys.executable, "-m", "cluster", "scan", str(path), "--json"]
        command += ["--store", str(self.store), "--base-url", url, "--assets-url", url]
        command += ["--from", str(first), "--to", str(last)]
        state = {"CANDLEFLEET_STATE_DIR": str(self.folder / "state")}
        return subprocess.Popen(
            command,
            env=environment() | state,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def crash_and_finish(self) -> None:
        """Start it again whenever its driver died, until it says that all is well."""
        total = INSTRUMENTS * 20
        until_s = time.monotonic() + RUNS_WITHIN_S
        process = self.scan(FIRST, LAST)
        for number in range(CRASHES):
            due = (number + self.dice.random()) * total / (CRASHES + 2)
            while process.poll() is None and self.exchange.judge()["requests"] < due:
                time.sleep(self.dice.uniform(0.01, 0.1))
                if time.monotonic() > until_s:
                    raise Failed(f"not done in {RUNS_WITHIN_S:g} s")
            if process.poll() is not None:
                break
            process = self._crash(process)
        _finish(process)

    def _crash(self, process: subprocess.Popen[str]) -> subprocess.Popen[str]:
        victim = self.dice.choice(VICTIMS)
        if victim != "driver" and not _kill_actor(process, victim, self.dice):
            return process  # it is just being restarted
        self.crashes[victim] += 1
        if victim != "driver":
            return process
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        psutil.wait_procs(family, timeout=30)  # Ray's processes end by themselves
        return self.scan(FIRST, LAST)


def run(_rounds: int) -> None:
    """Once, whatever the rounds: every crash of it is a round."""
    seed = int(time.time())
    with (
        run_lookalike(Settings(windows=(), latency_s=0.05)) as exchange,
        tempfile.TemporaryDirectory(prefix="candlefleet-bench-") as folder,
    ):
        keys = _liquid(INSTRUMENTS)
        windows = ((A_SECOND, 1.0),)
        wanted = config(keys, ["5minute"], (str(FIRST), str(LAST)), windows)
        wanted["writer"] = {"commit_every_s": 2.0}
        loop = _Loop(Path(folder), exchange, wanted, random.Random(seed))
        _finish(loop.scan(*STOOD))
        stood = _receipts(loop.store)
        chunks = DeltaTable(loop.store / "chunks")
        chunks.update({"fetched_at": "fetched_at - INTERVAL '1 day'"})
        exchange.reset()
        splits = {key: Split(2, FIRST) for key in keys[:SPLITS]}
        for key in splits:
            exchange.split(key, 2)
        began_s = time.monotonic()
        loop.crash_and_finish()
        seconds = time.monotonic() - began_s
        requests, answers = exchange.judge()["requests"], _receipts(loop.store) - stood
        rows = _same_as_the_market(loop.store, keys, splits)
        versions = _look_at_every_version(loop.store)
    crashes = loop.crashes.total()
    print(
        f"{crashes} crashes ({', '.join(f'{n} {who}' for who, n in loop.crashes.items())}) in "
        f"{seconds:.0f} s, seed {seed}: {rows:,} rows equal to the market, no candle twice in any of "
        f"{versions} versions; {requests:,} requests for {answers:,} receipts: "
        f"{requests - answers} repeated, {(requests - answers) / max(1, crashes):.1f} a crash"
    )


def _finish(process: subprocess.Popen[str]) -> None:
    out, err = process.communicate(timeout=RUNS_WITHIN_S)
    if process.returncode != 0:
        raise Failed(f"exit code {process.returncode}: {err[-2000:]} {out[-500:]}")


def _kill_actor(process: subprocess.Popen[str], actor: str, dice: random.Random) -> bool:
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if child.name().startswith(f"ray::{actor}"[:15]):
                found.append(child)
    if not found:
        return False
    with suppress(psutil.NoSuchProcess):
        dice.choice(found).kill()
    return True


def _liquid(count: int) -> list[str]:
    """Shares that trade every day of the span."""
    market, found = Market(0), []
    for key, record in known_instruments().items():
        if record["segment"] != "NSE_EQ" or record["instrument_type"] != "EQ":
            continue
        if len(market.candles(key, "days", 1, FIRST, LAST).ts) >= 410:
            found.append(key)
        if len(found) == count:
            return found
    raise Failed("the look-alike has too few shares")


def _receipts(store: Path) -> int:
    return int(DeltaTable(store / "chunks").count())


def _same_as_the_market(store: Path, keys: list[str], splits: dict[str, Split]) -> int:
    table = DeltaTable(store / "candles")
    market, total = Market(0, splits), 0
    for key in keys:
        predicate = f"instrument_key = '{key}'"
        columns = ["ts", "open", "high", "low", "close", "volume", "oi"]
        rows = pa.table(table.scan(columns=columns, predicate=predicate)).sort_by("ts")
        truth = market.candles(key, "minutes", 5, FIRST, LAST)
        stamps = rows["ts"].cast(pa.int64()).to_numpy() // 1_000_000
        for name, expected in zip(truth._fields, truth, strict=True):
            found = stamps if name == "ts" else rows[name].to_numpy()
            if found.tolist() != expected.tolist():
                raise Failed(f"{key}: {name} is not the market's")
        total += rows.num_rows
    return total


def _look_at_every_version(store: Path) -> int:
    """How many there are; each was looked at."""
    live: set[str] = set()
    log = sorted((store / "candles" / "_delta_log").glob("*.json"))
    for version, path in enumerate(log):
        if path.stem != f"{version:020}":
            raise Failed(f"version {version} is missing from the log")
        actions = [json.loads(line) for line in path.read_text().splitlines()]
        live -= {action["remove"]["path"] for action in actions if "remove" in action}
        live |= {action["add"]["path"] for action in actions if "add" in action}
        if live:
            files = [str(store / "candles" / name.replace("%7C", "|")) for name in sorted(live)]
            query = "select count(*), count(distinct hash(instrument_key, ts)) from read_parquet(?)"
            count, distinct = duckdb.execute(query, [files]).fetchall()[0]
            if count != distinct:
                raise Failed(f"version {version} holds {count - distinct} candles twice")
    return len(log)
