"""A run of 2,000 chunks under `kill -9`: of its driver, its writer, its fetchers, at random moments.

Part of the days stood in the store before, some of them since rewritten by a split; so there are spans
that replace others. Whatever happens, the store must end as the look-alike's market, no version of its
table may hold a candle twice, and every answered request that was not turned into a receipt is counted.
"""

from __future__ import annotations

import os
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
from tests.bucket import NAME, run_bucket

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
    store: str
    exchange: Lookalike
    config: dict[str, Any]
    dice: random.Random
    crashes: Counter[str] = field(default_factory=Counter)

    def scan(self, first: date, last: date) -> subprocess.Popen[str]:
        path = self.folder / "config.yaml"
        path.write_text(yaml.safe_dump(self.config))
        url = self.exchange.base_url
        command = [sys.executable, "-m", "cluster", "scan", str(path), "--json"]
        command += ["--store", self.store, "--base-url", url, "--assets-url", url]
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
    with tempfile.TemporaryDirectory(prefix="candlefleet-bench-") as folder:
        _measure(Path(folder), f"{folder}/store", "on a disk")


def run_in_a_bucket(_rounds: int) -> None:
    """The same where the store is in an object store, and its spool on this machine."""
    with (
        tempfile.TemporaryDirectory(prefix="candlefleet-bench-") as folder,
        run_bucket() as bucket,
    ):
        # For the naive looks as for the scans.
        os.environ |= bucket.environment | {"AWS_ALLOW_HTTP": "true"}
        _measure(Path(folder), f"s3://{NAME}/store", "in a bucket")


def _measure(folder: Path, store: str, where: str) -> None:
    seed = int(time.time())
    with run_lookalike(Settings(windows=(), latency_s=0.05)) as exchange:
        keys = _liquid(INSTRUMENTS)
        windows = ((A_SECOND, 1.0),)
        wanted = config(keys, ["5minute"], (str(FIRST), str(LAST)), windows)
        wanted["writer"] = {"commit_every_s": 2.0}
        dice = random.Random(seed)
        loop = _Loop(folder, store, exchange, wanted, dice)
        _finish(loop.scan(*STOOD))
        stood = _receipts(store)
        DeltaTable(f"{store}/chunks").update({"fetched_at": "fetched_at - INTERVAL '1 day'"})
        exchange.reset()
        splits = {key: Split(2, FIRST) for key in keys[:SPLITS]}
        for key in splits:
            exchange.split(key, 2)
        began_s = time.monotonic()
        loop.crash_and_finish()
        seconds = time.monotonic() - began_s
        requests, answers = exchange.judge()["requests"], _receipts(store) - stood
    rows = _same_as_the_market(f"{store}/candles", keys, splits)
    versions = _look_at_every_version(f"{store}/candles")
    crashes = loop.crashes.total()
    print(
        f"{where}, {crashes} crashes ({', '.join(f'{n} {who}' for who, n in loop.crashes.items())}) "
        f"in {seconds:.0f} s, seed {seed}: {rows:,} rows equal to the market, no candle twice in any "
        f"of {versions} versions; {requests:,} requests for {answers:,} receipts: "
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


def _receipts(store: str) -> int:
    return int(DeltaTable(f"{store}/chunks").count())


def _same_as_the_market(candles: str, keys: list[str], splits: dict[str, Split]) -> int:
    table = DeltaTable(candles)
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


def _look_at_every_version(candles: str) -> int:
    """How many there are; each was looked at."""
    versions = int(DeltaTable(candles).version()) + 1
    for version in range(versions):
        table = DeltaTable(candles, version=version)
        keys = pa.table(table.scan(columns=["instrument_key", "ts"]))
        query = "select count(*), count(distinct hash(instrument_key, ts)) from keys"
        with duckdb.connect() as engine:
            count, distinct = engine.register("keys", keys).execute(query).fetchall()[0]
        if count != distinct:
            raise Failed(f"version {version} holds {count - distinct} candles twice")
    return versions
