"""A run of 2,000 chunks under `kill -9`: of its driver, its writer, its fetchers, at random moments.

Part of the days stood in the store before, some of them since rewritten by a split; so there are spans
that replace others. A driver that was killed is started again at once, among what it has left running.
Whatever happens, the store must end as the look-alike's market. No version of its table may hold a candle
twice or lack one that stood before, and what a receipt tells of stands in the version it names. Every
request whose answer no receipt tells of is counted: no crash may cost more than were under way.
"""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import yaml
from deltalake import DeltaTable

from actors.market.sessions import IST
from cluster.lookalike.launch import Lookalike, run_lookalike
from cluster.lookalike.settings import Settings
from cluster.lookalike.split import Split
from tests.benchmarks.fleet import command, config, environment_of, kill_one
from tests.benchmarks.meter import Failed
from tests.benchmarks.truth import liquid, same_as_the_market
from tests.bucket import NAME, run_bucket

CRASHES = 50
INSTRUMENTS = 100
SPLITS = 10
#: 20 months of 5-minute bars: as many requests for each instrument.
FIRST, LAST = date(2024, 1, 1), date(2025, 8, 31)
STOOD = (date(2025, 7, 1), date(2025, 8, 20))  # in the store since yesterday
A_SECOND = 60  # requests: slow enough that a crash meets it in the middle
RUNS_WITHIN_S = 3_000.0
FLEET = {"fetchers": 2, "threads": 8}
#: Who is killed, and how many requests are under way in its hands: the most that may be repeated.
VICTIMS = {"driver": FLEET["fetchers"] * FLEET["threads"], "Writer": 0, "Fetcher": FLEET["threads"]}
AGAIN = 0.25  # of the drivers just started, so many are killed within their first seconds
FIRST_SECONDS = 8.0

#: One candle in one number: its instrument's above the seconds of its stamp.
Stamps = npt.NDArray[np.int64]
_SECONDS_BITS = 33


@dataclass(frozen=True, slots=True)
class _Scan:
    process: subprocess.Popen[bytes]
    #: A file, for who is killed leaves others behind that would keep a pipe open.
    said: Path


@dataclass(slots=True)
class _Loop:
    folder: Path
    store: str
    exchange: Lookalike
    config: dict[str, Any]
    dice: random.Random
    crashes: Counter[str] = field(default_factory=Counter)

    def scan(self, first: date, last: date) -> _Scan:
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self.config))
        words = command(self.exchange, self.folder, self.store)
        words += ["--from", str(first), "--to", str(last)]
        env = environment_of(self.folder)
        said = self.folder / "said.txt"
        with said.open("w") as file:
            process = subprocess.Popen(words, env=env, stdout=file, stderr=subprocess.STDOUT)
        return _Scan(process, said)

    def crash_and_finish(self) -> None:
        """Start it again whenever its driver died, until it says that all is well."""
        total = INSTRUMENTS * 20
        until_s = time.monotonic() + RUNS_WITHIN_S
        scan = self.scan(FIRST, LAST)
        for number in range(CRASHES):
            due = (number + self.dice.random()) * total / (CRASHES + 2)
            while scan.process.poll() is None and self.exchange.judge()["requests"] < due:
                time.sleep(self.dice.uniform(0.01, 0.1))
                if time.monotonic() > until_s:
                    raise Failed(f"not done in {RUNS_WITHIN_S:g} s")
            if scan.process.poll() is not None:
                break
            scan = self._crash(scan)
        _finish(scan)

    def _crash(self, scan: _Scan) -> _Scan:
        victim = self.dice.choice([*VICTIMS])
        if victim != "driver":
            self.crashes[victim] += kill_one(scan.process, victim, self.dice)
            return scan
        scan = self._killed_and_started(scan)
        if self.dice.random() < AGAIN:
            time.sleep(self.dice.uniform(0, FIRST_SECONDS))
            scan = self._killed_and_started(scan)
        return scan

    def _killed_and_started(self, scan: _Scan) -> _Scan:
        if scan.process.poll() is not None:
            return scan
        self.crashes["driver"] += 1
        scan.process.kill()
        scan.process.wait()
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
        # For the naive looks as for the scans.
        patch.dict(os.environ, bucket.environment | {"AWS_ALLOW_HTTP": "true"}),
    ):
        _measure(Path(folder), f"s3://{NAME}/store", "in a bucket")


def _measure(folder: Path, store: str, where: str) -> None:
    seed = int(time.time())
    with run_lookalike(Settings(windows=(), latency_s=0.05)) as exchange:
        keys = liquid(INSTRUMENTS, (FIRST, LAST), 410)
        windows = ((A_SECOND, 1.0),)
        wanted = config(keys, ["5minute"], (str(FIRST), str(LAST)), windows)
        wanted["writer"] = {"commit_every_s": 2.0}
        wanted["fleet"] = FLEET
        dice = random.Random(seed)
        loop = _Loop(folder, store, exchange, wanted, dice)
        _finish(loop.scan(*STOOD))
        stood = _answers(store)
        DeltaTable(f"{store}/chunks").update({"fetched_at": "fetched_at - INTERVAL '1 day'"})
        exchange.reset()
        splits = {key: Split(2, FIRST) for key in keys[:SPLITS]}
        for key in splits:
            exchange.split(key, 2)
        began_s = time.monotonic()
        loop.crash_and_finish()
        seconds = time.monotonic() - began_s
        requests, answers = exchange.judge()["requests"], _answers(store) - stood
    rows = same_as_the_market(f"{store}/candles", keys, 5, (FIRST, LAST), splits)
    versions = _look_at_every_version(store, keys)
    crashes, repeated = loop.crashes.total(), requests - answers
    most = sum(VICTIMS[who] * times for who, times in loop.crashes.items())
    print(
        f"{where}, {crashes} crashes ({', '.join(f'{n} {who}' for who, n in loop.crashes.items())}) "
        f"in {seconds:.0f} s, seed {seed}: {rows:,} rows equal to the market, in {versions} versions no "
        f"candle twice and none lost again; {requests:,} requests for {answers:,} answers kept: {repeated} "
        f"repeated, {repeated / max(1, crashes):.1f} a crash (were under way: up to {most})"
    )
    if spared := [who for who in VICTIMS if not loop.crashes[who]]:
        raise Failed(f"{' and '.join(spared)} was never killed, so nothing is shown of that")
    if not 0 <= repeated <= most:
        raise Failed(f"{repeated} requests repeated, where no more than {most} were under way")


def _finish(scan: _Scan) -> None:
    code = scan.process.wait(timeout=RUNS_WITHIN_S)
    if code != 0:
        raise Failed(f"exit code {code}: {scan.said.read_text()[-2500:]}")


def _answers(store: str) -> int:
    """Those that receipts tell of; one that a newer has overtaken on some of its days has a few."""
    columns = ["instrument_key", "timeframe", "run_id", "fetched_at"]
    told = pa.table(DeltaTable(f"{store}/chunks").scan(columns=columns))
    return int(told.group_by(columns).aggregate([]).num_rows)


def _look_at_every_version(store: str, keys: list[str]) -> int:
    """How many there are; each was looked at. The look-alike never takes back a candle it has served."""
    codes = {key: code for code, key in enumerate(keys)}
    told: dict[int, list[dict[str, Any]]] = {}
    for row in DeltaTable(f"{store}/chunks").to_pyarrow_table().to_pylist():
        if row["status"] == "stored":
            told.setdefault(row["candles_version"], []).append(row)
    versions = int(DeltaTable(f"{store}/candles").version()) + 1
    before: Stamps = np.empty(0, np.int64)
    for version in range(versions):
        now = _candles_of(f"{store}/candles", version, codes)
        if twice := int((np.diff(now) == 0).sum()):
            raise Failed(f"version {version} holds {twice} candles twice")
        if lost := len(before) - int(np.isin(before, now, assume_unique=True).sum()):
            raise Failed(f"version {version} lacks {lost} candles of the one before")
        for row in told.pop(version, ()):
            if (there := _count(now, codes, row)) < row["rows"]:
                raise Failed(
                    f"{row['chunk_id']}: {there} rows in version {version}, not {row['rows']}"
                )
        before = now
    if told:
        raise Failed(f"receipts name versions that never were: {sorted(map(str, told))}")
    return versions


def _candles_of(candles: str, version: int, codes: dict[str, int]) -> Stamps:
    """In order."""
    table = DeltaTable(candles, version=version)
    rows = pa.table(table.scan(columns=["instrument_key", "ts"]))
    names = rows["instrument_key"].combine_chunks().dictionary_encode()
    numbers = np.array([codes[name] for name in names.dictionary.to_pylist()], np.int64)
    seconds = rows["ts"].cast(pa.int64()).to_numpy() // 1_000_000
    if not len(numbers):
        return np.empty(0, np.int64)
    found: Stamps = (numbers[names.indices.to_numpy()] << _SECONDS_BITS) + seconds
    return np.sort(found)


def _count(stamps: Stamps, codes: dict[str, int], receipt: dict[str, Any]) -> int:
    """How many of them are of the receipt's days."""
    base = codes[receipt["instrument_key"]] << _SECONDS_BITS
    began, ended = (
        base + int(datetime.combine(day, datetime.min.time(), IST).timestamp())
        for day in (receipt["first"], receipt["last"] + timedelta(days=1))
    )
    return int(np.diff(np.searchsorted(stamps, [began, ended]))[0])
