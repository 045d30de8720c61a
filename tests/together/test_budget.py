"""One account's budget, spent by several runs at once, by killed ones, and against the provider's will."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from cluster.lookalike.launch import Lookalike, run_lookalike
from cluster.lookalike.settings import Settings
from tests.together.conftest import Scan, events
from tests.together.test_scan import expected, wait_until_committed

WINDOWS = ((12, 1.0), (40, 6.0))


@pytest.fixture
def limited() -> Iterator[Lookalike]:
    settings = Settings(windows=WINDOWS, latency_s=0.08, jitter_s=0.08, count_refused=True)
    with run_lookalike(settings) as running:
        yield running


def beside(scan: Scan, name: str, priority: str) -> Scan:
    """The same job into another store, by a run of its own Ray."""
    folder = scan.folder / name
    folder.mkdir()
    budget = {"windows": [{"limit": n, "seconds": s} for n, s in WINDOWS], "priority": priority}
    config = scan.config | {
        "budget": budget,
        "timeframes": ["1day", "5minute", "15minute", "1hour"],
        "fleet": {"fetchers": 1, "threads": 4},
        "writer": {"commit_every_s": 0.3},
    }
    return replace(scan, folder=folder, config=config)


def test_runs_side_by_side_and_one_after_both_were_killed_keep_inside_the_limits(
    scan: Scan, limited: Lookalike
) -> None:
    """Each a process with a Ray of its own: they share nothing but the ledger."""
    scan.exchange = limited
    one, other = beside(scan, "one", "interactive"), beside(scan, "other", "backfill")
    both = [(one, one.start()), (other, other.start())]
    for run, process in both:
        wait_until_committed(run, process)
    for _, process in both:
        process.kill()
        process.communicate()
    sent_before = limited.judge()["requests"]
    # The one that gives way has the most left: the interactive one may have ended before its kill.
    third = other.run()
    assert third.code == 0, third.stderr
    assert "done at about" in third.stderr
    judged = limited.judge()
    # What was under way at the kill may have arrived after it.
    assert judged["requests"] - sent_before >= third.summary["requests"] > 0
    assert judged["refused"] == 0
    assert all(w["worst"] <= w["limit"] for w in judged["windows"])
    assert other.rows() == expected(other)


def test_a_refused_request_stops_all_then_one_asks_and_no_chunk_loses_an_attempt(
    scan: Scan,
) -> None:
    """The provider refuses the first request of each path, though by our count no window is full."""
    scan.config |= {"retry": {"attempts": 1}, "fleet": {"fetchers": 2, "threads": 4}}
    scan.config["timeframes"] = ["1day"]
    scan.exchange.set_faults(per_path=1, matching="days", too_many=1.0)
    done = scan.run()
    assert done.code == 0, done.stderr
    assert (done.summary["stored"], done.summary["failed"]) == (5, 0)
    judged = scan.exchange.judge()
    assert judged["faults"]["too_many"] == 5
    assert done.summary["requests"] == judged["requests"] == 10
    assert "refused a request (429)" in done.stderr
    frozen = events(scan.store, "budget.frozen")
    assert frozen
    assert "/50/1 s" in str(frozen[0]["own_count"])
    assert scan.rows() == expected(scan)


def test_a_banned_client_ends_at_once_with_the_reason(scan: Scan) -> None:
    scan.exchange.set_faults(cloudflare=1.0)
    done = scan.run()
    assert done.code == 3, done.stderr
    assert "1010" in done.stderr
    assert scan.exchange.judge()["requests"] <= 2 * 8, "it went on asking"
