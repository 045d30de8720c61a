from __future__ import annotations

import json
import subprocess
import sys

import yaml

from tests.together.conftest import WITHIN_S, Scan


def doctor(scan: Scan, *options: str) -> subprocess.CompletedProcess[str]:
    path = scan.folder / "config.yaml"
    path.write_text(yaml.safe_dump(scan.config | {"store": str(scan.store)}))
    url = scan.exchange.base_url
    command = [sys.executable, "-P", "-m", "cluster", "doctor", str(path), *options]
    return subprocess.run(
        [*command, "--base-url", url, "--assets-url", url],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


def test_what_a_scan_depends_on_is_looked_at_and_nothing_is_left(scan: Scan) -> None:
    done = doctor(scan, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["fit"]
    abouts = [finding["about"] for finding in told["findings"]]
    looked_at = "software, memory, state folder, store, token, clock, universe, candles, reach, ray"
    assert abouts == looked_at.split(", ")
    assert "a cluster of this run's own was there" in told["findings"][-1]["said"]
    assert scan.exchange.judge()["requests"] == 2
    assert not scan.store.exists()

    done = doctor(scan, "--address", "127.0.0.1:9")  # where nobody is
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    problems = [line for line in done.stdout.splitlines() if line.startswith("problem")]
    assert len(problems) == 1
    assert "ray" in problems[0]
    assert doctor(scan, "--address", "nonsense").returncode == 2
