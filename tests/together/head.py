"""A cluster that others have started: its Python has what we need installed, but not our code."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest

PYTHON = Path(sys.prefix) / "head" / "bin" / "python"
ROOT = Path(__file__).parents[2]
WITHIN_S = 120


@dataclass(frozen=True)
class Head:
    address: str  # of the cluster
    dashboard: str
    folder: Path  # of all that Ray and the jobs write down
    environment: dict[str, str]  # of whoever speaks to it

    def python(self, *words: str | Path, cwd: Path, **environment: str) -> subprocess.Popen[str]:
        """Ours, which has the code."""
        return self._start([sys.executable, "-P", *map(str, words)], cwd, environment)

    def told(self, path: str) -> Any:
        """What the dashboard tells there."""
        token = (self.folder / "token").read_text()
        shown = Request(f"{self.dashboard}{path}", headers={"Authorization": f"Bearer {token}"})
        with urlopen(shown, timeout=30) as answer:
            return json.load(answer)

    def actors(self) -> set[str]:
        """The names that are taken, also by those that are still starting."""
        found = self.told("/api/v0/actors?limit=1000")["data"]["result"]["result"]
        return {each["name"] for each in found if each["name"] and each["state"] != "DEAD"}

    def ray(self, *words: str, cwd: Path) -> subprocess.Popen[str]:
        """Ray's own command, on the head's own machine."""
        return self._start([str(PYTHON), "-P", "-m", "ray.scripts.scripts", *words], cwd, {})

    def _start(
        self, command: list[str], cwd: Path, environment: dict[str, str]
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env=self.environment | environment,
        )


@contextmanager
def run_head(**own: str) -> Iterator[Head]:
    """`own` stands in the environment of the cluster's processes alone."""
    if not PYTHON.exists():
        pytest.fail(f"{PYTHON} is not there; `make test` makes it")
    with tempfile.TemporaryDirectory(
        prefix="cf-ray-"
    ) as name:  # a socket's path may have 107 characters
        folder = Path(name)
        (folder / "token").write_text(secrets.token_hex(32))
        common = os.environ | {
            "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_enable_worker_prestart": "0",
        }
        # The first `python` is the one that runs a job's command.
        environment = common | {"PATH": f"{PYTHON.parent}{os.pathsep}{os.environ['PATH']}"} | own
        ports = _free_ports(4)
        command = [PYTHON, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
        command += [f"--port={ports[0]}", f"--dashboard-port={ports[1]}", f"--temp-dir={folder}/r"]
        command += ["--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1", "--num-cpus=2"]
        command += [f"--dashboard-agent-listen-port={ports[2]}"]
        command += [f"--ray-client-server-port={ports[3]}"]
        command += ["--include-dashboard=true", "--object-store-memory=100000000"]
        with (folder / "head.log").open("w") as log:
            process = subprocess.Popen(
                list(map(str, command)), stdout=log, stderr=log, cwd=folder, env=environment
            )
        try:
            dashboard = f"http://127.0.0.1:{ports[1]}"
            _wait_for(dashboard, process, folder / "head.log")
            yield Head(f"127.0.0.1:{ports[0]}", dashboard, folder, common)
        finally:
            _end(process)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _wait_for(dashboard: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until_s = time.monotonic() + WITHIN_S
    while time.monotonic() < until_s:
        assert process.poll() is None, log.read_text()
        try:
            urlopen(f"{dashboard}/api/version", timeout=5).close()
        except HTTPError:
            pass  # it was started with a token, and wants it
        except OSError:
            time.sleep(0.1)
            continue
        if "Ray runtime started" in log.read_text():
            return
        time.sleep(0.1)
    pytest.fail(log.read_text())


def _end(process: subprocess.Popen[bytes]) -> None:
    """Asked to end, a head waits half a minute for its nodes; nothing of it is needed any more."""
    family = [*psutil.Process(process.pid).children(recursive=True), process]
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()
    psutil.wait_procs(
        [member for member in family if isinstance(member, psutil.Process)], timeout=10
    )
