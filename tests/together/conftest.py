"""The real thing: the command in a process of its own, Ray, a look-alike, a Delta table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import psutil
import pytest
import yaml
from deltalake import DeltaTable

from cluster.lookalike.launch import Lookalike, run_lookalike
from cluster.lookalike.settings import Settings

WITHIN_S = 150
GONE_WITHIN_S = 5.0  # on a machine that has other work, too
RAY_SESSIONS = Path(f"/tmp/candlefleet-{os.getuid()}/ray")  # of clusters of ours

#: Bar stamp in epoch seconds, then open, high, low, close, volume, oi.
Bar = tuple[int, float, float, float, float, int, int]


@dataclass
class Scan:
    """One config, scanned as often as a test likes, against one look-alike."""

    folder: Path
    exchange: Lookalike
    config: dict[str, Any] = field(default_factory=dict)
    within: tuple[str, ...] = ()  # a command by which it is run
    program: tuple[str, ...] = ("-m", "cluster")

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def start(self, *options: str, verb: str = "scan", **environment: str) -> subprocess.Popen[str]:
        path = self.folder / "config.yaml"
        path.write_text(yaml.safe_dump(self.config))
        url = self.exchange.base_url
        command = [*self.within, sys.executable, "-P", *self.program, verb, str(path), "--json"]
        command += ["--store", str(self.store), "--base-url", url, *options]
        command += ["--assets-url", url] if verb == "scan" else []
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=os.environ | environment,
        )

    def run(self, *options: str, verb: str = "scan", **environment: str) -> Finished:
        return finish(self.start(*options, verb=verb, **environment))

    def run_with_token(self, token: str) -> Finished:
        """Run with a token in the environment, and search for it in all that anybody else may see.

        That is everything but the memory and the environment of our own processes, from which it is
        read: their command lines at any moment, what is printed, and every file that is written.
        """
        seen = watch(self.start(UPSTOX_ACCESS_TOKEN=token))
        assert any("raylet" in each for each in seen.commands), "Ray's processes were not looked at"
        assert not [each for each in (*seen.commands, seen.out, seen.err) if token in each]
        files = seen.ray_files | contents(self.folder, Path(os.environ["CANDLEFLEET_STATE_DIR"]))
        for ending in (".out", ".err", ".sqlite3", ".jsonl", "manifest.json", "report.json"):
            assert any(path.name.endswith(ending) for path in files), f"no {ending} was looked at"
        assert not [path for path, content in files.items() if token.encode() in content]
        return finished(seen.code, seen.out, seen.err)

    def rows(self) -> dict[tuple[str, str], list[Bar]]:
        """All candles of the store by instrument and timeframe, in the order of time."""
        names = ["ts", "open", "high", "low", "close", "volume", "oi"]
        table = DeltaTable(f"{self.store}/candles").to_pyarrow_table()
        found: dict[tuple[str, str], list[Bar]] = {}
        for row in table.to_pylist():
            ts, *values = (row[name] for name in names)
            bar = (int(ts.timestamp()), *values)
            found.setdefault((row["instrument_key"], row["timeframe"]), []).append(bar)
        return {series: sorted(bars) for series, bars in found.items()}

    def receipts(self) -> list[dict[str, Any]]:
        return DeltaTable(f"{self.store}/chunks").to_pyarrow_table().to_pylist()


@dataclass(frozen=True)
class Finished:
    code: int
    summary: dict[str, Any]
    stderr: str


def until(condition: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    """Within two minutes, and while the process that is to bring it about, if it is ours, goes on."""
    give_up_s = time.monotonic() + 120
    while not condition():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < give_up_s
        time.sleep(0.02)


def events(store: Path, name: str) -> list[dict[str, Any]]:
    """By that name in the logs of all runs, as far as they are written."""
    found = []
    for log in (store / "runs").glob("*/log.jsonl"):
        entries = map(json.loads, log.read_text().rpartition("\n")[0].splitlines())
        found += [entry for entry in entries if entry["event"] == name]
    return found


def finish(process: subprocess.Popen[str]) -> Finished:
    out, err = process.communicate(timeout=WITHIN_S)
    return finished(process.returncode, out, err)


def finished(code: int, out: str, err: str) -> Finished:
    lines = out.splitlines()
    assert "Traceback" not in err, err
    return Finished(code, json.loads(lines[-1]) if lines else {}, err)


@dataclass(frozen=True)
class Seen:
    """What anybody might see of a run."""

    code: int
    out: str
    err: str
    commands: set[str]  # of every process there was, as anybody on this machine may read them
    ray_files: dict[Path, bytes]  # that Ray wrote down


def watch(process: subprocess.Popen[str]) -> Seen:
    """Wait for its end, and hold on to the files of Ray, which end with it."""
    commands: set[str] = set()
    held = dict[Path, BinaryIO]()
    with ExitStack() as open_files, ThreadPoolExecutor() as pool:
        ended = pool.submit(process.communicate, timeout=WITHIN_S)
        while not ended.done():
            commands |= command_lines()
            for path in ray_files(process.pid) - held.keys():
                with suppress(FileNotFoundError):
                    held[path] = open_files.enter_context(path.open("rb"))
            wait([ended], timeout=0.1)
        out, err = ended.result()
        assert not [path for path in held if path.exists()], "Ray's files outlived the run"
        written = {path: file.read() for path, file in held.items()}
    return Seen(process.returncode, out, err, commands, written)


def ray_files(pid: int) -> set[Path]:
    """Of clusters that this process has begun."""
    found = set[Path]()
    with suppress(psutil.NoSuchProcess):
        for head in psutil.Process(pid).children(recursive=True):
            for session in RAY_SESSIONS.glob(f"session_*_{head.pid}"):
                if session.stat().st_mtime < head.create_time():
                    continue  # of another process, which was killed and had this number
                # `walk` goes on where a folder vanishes meanwhile.
                paths = (Path(at, name) for at, _, names in os.walk(session) for name in names)
                found |= {path for path in paths if path.is_file()}
    return found


def contents(*folders: Path) -> dict[Path, bytes]:
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {path: path.read_bytes() for path in files}


def command_lines() -> set[str]:
    found = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            found.add(" ".join(process.cmdline()))
    return found


def family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def actors_of(pid: int, kind: str) -> list[psutil.Process]:
    """The actors of this class that a driver has just now; one that is being restarted is not there."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if child.name().startswith(f"ray::{kind}"[:15]):  # Linux cuts names there
                found.append(child)
    return found


def commands(processes: list[psutil.Process]) -> list[str]:
    found = []
    for each in processes:
        try:
            found.append(" ".join(each.cmdline()))
        except psutil.NoSuchProcess:
            continue
    return found


def assert_gone(processes: list[psutil.Process]) -> None:
    _, left = psutil.wait_procs(processes, GONE_WITHIN_S)
    assert not [each for each in left if each.status() != psutil.STATUS_ZOMBIE], commands(left)


@pytest.fixture
def exchange() -> Iterator[Lookalike]:
    with run_lookalike(Settings(windows=())) as running:
        yield running


@pytest.fixture
def scan(tmp_path: Path, exchange: Lookalike) -> Scan:
    """Five symbols, daily and 5-minute bars of two months: 15 requests.

    It stands in a folder that holds modules by the names of those we import.
    """
    config = {
        "universe": {"symbols": ["SBIN", "RELIANCE", "INFY", "TCS", "NSE_INDEX|Nifty 50"]},
        "timeframes": ["1day", "5minute"],
        "dates": {"from": "2024-01-01", "to": "2024-02-29"},
        "retry": {"attempts": 8, "base_s": 0.05, "cap_s": 0.5},
    }
    for module in ("psutil.py", "ray.py", "actors/__init__.py", "cluster/__init__.py"):
        path = tmp_path / module
        path.parent.mkdir(exist_ok=True)
        path.write_text("raise SystemExit('it imports from the folder the user stands in')")
    return Scan(tmp_path, exchange, config)
