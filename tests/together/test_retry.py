"""Dead letters end to end: left, shown, asked for again; and the store as it was meanwhile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cluster import Store
from cluster.status import look
from tests.together.conftest import Scan
from tests.together.test_scan import expected


def test_chosen_dead_letters_are_asked_for_again_and_no_others(scan: Scan) -> None:
    """As an ordinary run. Runs name the versions by which the store can be looked at again."""
    scan.config["retry"] = {"attempts": 1}
    scan.config["timeframes"] = ["5minute"]
    scan.exchange.set_faults(server_error=1.0, matching="NSE_EQ")  # an index is answered: no outage
    first = scan.run()
    assert (first.code, first.summary["failed"]) == (1, 8)
    assert look(Store(str(scan.store))).causes == {"server_error": 8}

    scan.exchange.set_faults()
    symbols = [option for name in ("SBIN", "INFY", "TCS") for option in ("--symbol", name)]
    chosen = (*symbols, "--cause", "server_error", "--run", first.summary["run_id"])
    again = scan.run(*chosen, verb="retry")
    assert again.code == 0, again.stderr
    assert (again.summary["planned"], again.summary["stored"]) == (6, 6)
    assert "Asking again for 6 dead letters: server_error 6." in again.stderr
    assert scan.exchange.judge()["requests"] == first.summary["requests"] + 6

    left = look(Store(str(scan.store))).failed
    series = {(letter["instrument_key"], letter["timeframe"]) for letter in left}
    assert (len(left), len(series)) == (2, 1)
    assert scan.rows() == {s: rows for s, rows in expected(scan).items() if s not in series}

    none = scan.run("--cause", "timeout", verb="retry")
    assert (none.code, none.summary["requests"]) == (0, 0)
    assert "No dead letter" in none.stderr
    unheard = scan.run("--run", first.summary["run_id"] + "0", verb="retry")
    assert unheard.code == 2
    assert f"did you mean {first.summary['run_id']}?" in unheard.stderr
    look_back(scan, [first.summary, again.summary])


def look_back(scan: Scan, runs: list[dict[str, Any]]) -> None:
    """Each run's report leads to what it left, and says where it began."""
    store, version, rows = Store(str(scan.store)), 0, 0
    for run in runs:
        folder = Path(scan.store, "runs", run["run_id"])
        report = json.loads((folder / "report.json").read_text())
        manifest = json.loads((folder / "manifest.json").read_text())
        assert report["began_version"] == manifest["began_version"] == version
        assert store.at(report["began"]).candles_version() == version
        version, rows = report["candles_version"], rows + run["rows"]
        assert store.candles(as_of=version).to_arrow().num_rows == rows
        assert look(store.at(version)).runs[0] == report
