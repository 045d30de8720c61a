"""Longer bars without asking for them."""

from __future__ import annotations

import json
import subprocess
import sys

from deltalake import DeltaTable

from tests.together.conftest import WITHIN_S, Scan
from tests.together.test_scan import UNITS, expected


def told(scan: Scan, verb: str) -> dict:
    url = scan.exchange.base_url
    command = [
        sys.executable,
        "-P",
        "-m",
        "cluster",
        verb,
        str(scan.folder / "config.yaml"),
        "--json",
    ]
    command += ["--store", str(scan.store), "--base-url", url, "--assets-url", url]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=WITHIN_S, cwd=scan.folder, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_minutes_are_fetched_once_and_longer_bars_are_made_of_them(scan: Scan, monkeypatch) -> None:
    """The market, row by row, for the requests of the minutes; and nothing to do a second time."""
    longer = {"15minute": ("minutes", 15), "30minute": ("minutes", 30), "1hour": ("hours", 1)}
    for label, unit in longer.items():
        monkeypatch.setitem(UNITS, label, unit)
    scan.config["timeframes"] = ["1day", "5minute", *longer]
    scan.config["derive"] = True
    first = scan.run()
    assert first.code == 0, first.stderr
    minutes = 5 * 2  # of five instruments, the reference among them, two months
    assert first.summary["requests"] == scan.exchange.judge()["requests"] == 5 + minutes
    rows = scan.rows()
    scan.config["timeframes"].append("1minute")  # what was fetched for it is there too
    assert rows == expected(scan)
    made = sum(len(bars) for (_, label), bars in rows.items() if label in {"5minute", *longer})
    assert first.summary["derived"] == made
    assert first.summary["rows"] == sum(map(len, rows.values())) - made
    scan.config["timeframes"].remove("1minute")

    second = scan.run()
    assert (second.code, second.summary["requests"], second.summary["derived"]) == (0, 0, 0)
    assert second.summary["candles_version"] == first.summary["candles_version"]
    plan = told(scan, "plan")
    assert plan["requests"] == 0
    assert plan["derived"]["timeframes"] == ["5minute", *longer]
    verified = told(scan, "verify")
    assert (verified["complete"], verified["gaps"]) == (5, [])

    # A crash that took the longer bars with it costs no request either.
    hole = "timeframe = '30minute'"
    DeltaTable(scan.store / "chunks").delete(hole)
    DeltaTable(scan.store / "candles").delete(hole)
    third = scan.run()
    assert (third.code, third.summary["requests"]) == (0, 0)
    assert scan.rows() == rows
