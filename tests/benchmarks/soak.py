"""Ten minutes and more of everything at once: random kills, and a provider that fails at random.

At the end all is left alone, and the same command must finish. Then the laws are held against the judge and
the look-alike's market. SOAK_MINUTES in the environment makes it longer or shorter.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pyarrow as pa
import yaml
from deltalake import DeltaTable

from cluster.lookalike.launch import Lookalike, run_lookalike
from cluster.lookalike.settings import Settings
from tests.benchmarks.fleet import command, config, environment_of, kill_one
from tests.benchmarks.meter import Failed
from tests.benchmarks.truth import liquid, same_as_the_market

MINUTES = float(os.environ.get("SOAK_MINUTES", "10"))
INSTRUMENTS = 240
FIRST, LAST = date(2024, 1, 1), date(2025, 8, 31)  # 20 requests of 15-minute bars for each
#: Permits of the dead are counted for a minute and a half; there must be some left for the living.
WINDOWS = ((150, 1.0),)
FETCHERS, THREADS = 2, 4
LATENCY_S = 0.8
VICTIMS = ("driver", "Limiter", "Writer", "Fetcher", "Fetcher", "Monitor")
KILL_EVERY_S = (2.0, 14.0)
WEATHER_EVERY_S = (4.0, 25.0)
FINISH_WITHIN_S = 1_200.0
VERSIONS_LOOKED_AT = 25


@dataclass(slots=True)
class _Soak:
    folder: Path
    exchange: Lookalike
    dice: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    weather: Counter[str] = field(default_factory=Counter)
    summaries: list[dict[str, Any]] = field(default_factory=list)

    @property
    def store(self) -> str:
        return str(self.folder / "store")

    def scan(self) -> subprocess.Popen[str]:
        with (self.folder / "stderr").open("a") as stderr:
            return subprocess.Popen(
                command(self.exchange, self.folder),
                env=environment_of(self.folder),
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )

    def torment(self) -> None:
        """Until the time is over or nothing is left to fetch; then until all is done."""
        began_s = time.monotonic()
        until_s = began_s + 60 * MINUTES
        kill_s = began_s + 15
        weather_s = began_s
        process = self.scan()
        while (now_s := time.monotonic()) < until_s:
            time.sleep(0.05)
            if process.poll() is not None and not self._goes_on(process):
                break
            if process.poll() is not None:
                process = self.scan()
            if now_s >= weather_s:
                self._change_weather()
                weather_s = now_s + self.dice.uniform(*WEATHER_EVERY_S)
            if now_s >= kill_s:
                process = self._kill(process)
                kill_s = time.monotonic() + self.dice.uniform(*KILL_EVERY_S)
        self.exchange.set_faults()
        self.exchange.set_latency(0.05)
        self._finish(process)

    def _finish(self, process: subprocess.Popen[str]) -> None:
        """Dead letters of the worst moments are asked for once more."""
        for _ in range(3):
            process.wait(FINISH_WITHIN_S)
            if not self._goes_on(process):
                return
            process = self.scan()
        raise Failed(f"not done: {self.summaries[-1]}")

    def _goes_on(self, process: subprocess.Popen[str]) -> bool:
        """Whether there is still something to fetch, once a run has ended by itself."""
        out, _ = process.communicate()
        if process.returncode not in {0, 1} or not out:
            raise Failed(f"exit code {process.returncode}: {self._stderr()}")
        self.summaries.append(json.loads(out.splitlines()[-1]))
        return bool(process.returncode)

    def _stderr(self) -> str:
        return (self.folder / "stderr").read_text()[-3_000:]

    def _change_weather(self) -> None:
        kind = self.dice.choice(["fair", "fair", "mixed", "worst", "outage", "throttled", "slow"])
        self.weather[kind] += 1
        rates: dict[str, dict[str, float]] = {
            "mixed": {"mixed": self.dice.uniform(0.05, 0.3)},
            "worst": {"worst": self.dice.uniform(0.05, 0.3)},
            "outage": {self.dice.choice(["server_error", "reset", "html", "redirect"]): 1.0},
            "throttled": {"too_many": 0.2},
        }
        self.exchange.set_faults(seed=self.dice.randrange(10**6), **rates.get(kind, {}))
        self.exchange.set_latency(3.0 if kind == "slow" else LATENCY_S, 0.3)

    def _kill(self, process: subprocess.Popen[str]) -> subprocess.Popen[str]:
        victim = self.dice.choice(VICTIMS)
        if victim != "driver":
            self.kills[victim] += kill_one(process, victim, self.dice)
            return process
        self.kills[victim] += 1
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        _, alive = psutil.wait_procs(family, timeout=90)  # Ray's processes end by themselves
        if alive:
            raise Failed(f"outlived their driver: {[p.name() for p in alive]}")
        return self.scan()


def run(_rounds: int) -> None:
    """Once, whatever the rounds."""
    seed = int(time.time())
    settings = Settings(windows=WINDOWS, latency_s=LATENCY_S, stall_s=60.0, drip_s=10.0)
    with (
        tempfile.TemporaryDirectory(prefix="candlefleet-bench-") as folder,
        run_lookalike(settings) as exchange,
    ):
        keys = liquid(INSTRUMENTS, (FIRST, LAST), 400)
        wanted = config(keys, ["15minute"], (str(FIRST), str(LAST)), WINDOWS)
        wanted |= {
            "writer": {"commit_every_s": 2.0},
            "fleet": {"fetchers": FETCHERS, "threads": THREADS},
            "retry": {"attempts": 12, "base_s": 0.2, "cap_s": 5},
            "provider": {"timeout_s": 6},
        }
        (Path(folder) / "config.yaml").write_text(yaml.safe_dump(wanted))
        soak = _Soak(Path(folder), exchange, random.Random(seed))
        print(f"seed {seed}", flush=True)
        began_s = time.monotonic()
        soak.torment()
        _tell(soak, keys, time.monotonic() - began_s)


def _tell(soak: _Soak, keys: list[str], seconds: float) -> None:
    """Raises Failed where a law is broken."""
    judged = soak.exchange.judge()
    worst = judged["windows"][0]["worst"]
    if judged["refused"] or worst > WINDOWS[0][0]:
        raise Failed(f"a window was overfull: {judged['windows']}")
    rows = same_as_the_market(f"{soak.store}/candles", keys, 15, (FIRST, LAST))
    versions = _look_at_versions(f"{soak.store}/candles")
    receipts = pa.table(DeltaTable(f"{soak.store}/chunks").scan(columns=["chunk_id", "status"]))
    ids = receipts["chunk_id"].to_pylist()
    if len(ids) != len(set(ids)) or set(receipts["status"].to_pylist()) != {"stored"}:
        raise Failed("not exactly one receipt for each chunk")
    kills = soak.kills.total()
    again = judged["repeats_of_answered"]
    letters = sum(done["failed"] for done in soak.summaries)
    print(
        f"{seconds:.0f} s; {kills} kills ({_counted(soak.kills)}); weather {_counted(soak.weather)}\n"
        f"{judged['requests']:,} requests for {len(ids):,} receipts, {sum(judged['faults'].values()):,} "
        f"of them failed by the provider ({len(judged['faults'])} kinds)\n"
        f"{rows:,} rows equal to the market, no candle twice in {versions} versions; "
        f"at most {worst} of {WINDOWS[0][0]} in a window\n"
        f"{again} answered requests were sent again, {again / max(1, kills):.1f} a kill; "
        f"{letters} dead letters on the way, none at the end"
    )
    if again > kills * FETCHERS * THREADS + judged["faults"].get("shuffled", 0):
        raise Failed("more was asked again than was under way at the kills")


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{n} {what}" for what, n in counts.most_common())


def _look_at_versions(candles: str) -> int:
    """So many, spread evenly over the run."""
    last = int(DeltaTable(candles).version())
    wanted = sorted({round(last * i / VERSIONS_LOOKED_AT) for i in range(VERSIONS_LOOKED_AT + 1)})
    for version in wanted:
        keys = pa.table(DeltaTable(candles, version=version).scan(columns=["instrument_key", "ts"]))
        query = "select count(*), count(distinct hash(instrument_key, ts)) from keys"
        with duckdb.connect() as engine:
            count, distinct = engine.register("keys", keys).execute(query).fetchall()[0]
        if count != distinct:
            raise Failed(f"version {version} holds {count - distinct} candles twice")
    return len(wanted)
