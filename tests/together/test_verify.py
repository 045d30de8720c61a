"""A store with holes is repaired by an ordinary run."""

from __future__ import annotations

import json
import subprocess
import sys

from deltalake import DeltaTable

from tests.together.conftest import WITHIN_S, Scan
from tests.together.test_scan import expected


def verify(scan: Scan, *options: str) -> tuple[int, dict]:
    url = scan.exchange.base_url
    config = str(scan.folder / "config.yaml")
    command = [sys.executable, "-P", "-m", "cluster", "verify", config, "--json"]
    command += ["--store", str(scan.store), "--base-url", url, "--assets-url", url, *options]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=WITHIN_S, cwd=scan.folder, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_what_verify_finds_it_repairs_with_one_request_each_and_then_asks_no_more(
    scan: Scan,
) -> None:
    """Rows taken out of the table, months never asked for; afterwards the market, row by row."""
    assert scan.run("--to", "2024-01-31").code == 0
    candles = DeltaTable(scan.store / "candles")
    candles.delete("date = '2024-01-17' AND timeframe = '5minute' AND symbol = 'SBIN'")
    asked = scan.exchange.judge()["requests"]

    code, told = verify(scan)
    assert code == 1
    assert (told["complete"], told["with_gaps"]) == (0, 5)
    reasons = [gap["reason"] for gap in told["gaps"]]
    assert sorted(reasons) == ["lost", *["never_asked"] * 10]
    assert scan.exchange.judge()["requests"] == asked

    code, told = verify(scan, "--fetch")
    assert code == 0, told["gaps"]
    assert (told["complete"], told["with_gaps"], told["gaps"]) == (5, 0, [])
    assert scan.exchange.judge()["requests"] == asked + 5 + 6
    assert scan.rows() == expected(scan)
    run = max((scan.store / "runs").iterdir())
    assert len(json.loads((run / "manifest.json").read_text())["chunks"]) == 11
    assert json.loads((run / "report.json").read_text())["outcome"] == "done"

    assert verify(scan, "--fetch")[0] == 0
    assert scan.exchange.judge()["requests"] == asked + 11
