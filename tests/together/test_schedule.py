"""Scheduled updates, with everything real: child processes, Ray, a look-alike, a store."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import psutil
import pytest
import yaml

from actors.market.sessions import IST
from cluster.exit import Exit
from cluster.schedule.record import Journal, Outcome, Record
from tests.together.conftest import Scan, assert_gone

ROOT = Path(__file__).parents[2]
LOOK_EVERY_S = 0.05


def until(holds: Callable[[], bool], within_s: float) -> None:
    give_up_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < give_up_s, "it never came to that"
        time.sleep(LOOK_EVERY_S)


@pytest.mark.timeout(330)  # it takes half a minute, and a busy machine is slow to start processes
def test_closed_days_are_skipped_sleep_and_outages_caught_up_and_nothing_lacks() -> None:
    """A driven clock from a Friday, over a Saturday with a session, to the day after a holiday."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.fortnight", "--weekend"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
        check=False,
    )
    friday, weekend, full, monday, tuesday, requests, _ = done.stdout.splitlines()
    assert friday.startswith("Fri 19 18:00 daily  done (2 attempts, at Fri 19 18:05")  # an outage
    # Asleep over three runs: caught up once each.
    assert weekend.startswith("Sun 21 18:00 daily  done (also for 1 missed before it, at Mon 22 09")
    assert full.startswith("Sun 21 20:00 weekly done (at Mon 22 09:0")
    assert "3 complete + 0 with gaps = 3 instruments" in full
    assert monday.endswith("skipped (at Mon 22 18:00, 0 requests): all that has settled is there")
    assert "daily  skipped (at Tue 23 18:00, 1 requests)" in tuesday
    assert tuesday.endswith(": no session since Sat 20 Jan: Mon 22 Jan closed")
    assert "12 the fewest" in requests
    assert done.returncode == 0, requests


@pytest.fixture
def scheduled(scan: Scan) -> Scan:
    """A job that is due, of 15 requests that take a while."""
    url = scan.exchange.base_url
    scan.exchange.set_latency(0.6)
    (scan.folder / "all.yaml").write_text("{where: close > 0, timeframe: 1day}")
    out = str(scan.folder / "all-{date}.csv")
    screen = {"screen": str(scan.folder / "all.yaml"), "out": out}
    scan.config |= {
        "store": str(scan.store),
        "provider": {"base_url": url, "assets_url": url},
        "fleet": {"fetchers": 1, "threads": 2},
        "writer": {"commit_every_s": 0.2},
        "schedule": {"jobs": [{"name": "often", "when": "* * * * *", "screens": [screen]}]},
    }
    (scan.folder / "config.yaml").write_text(yaml.safe_dump(scan.config))
    hours_ago = datetime.now(IST).replace(microsecond=0) - timedelta(hours=3)
    added = Record(job="often", occasion=hours_ago, outcome=Outcome.ADDED)
    Journal(str(scan.store)).write(added)
    return scan


@pytest.fixture
def daemon(scheduled: Scan) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts one; whatever a test comes to, none is left."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        started.append(_daemon(scheduled))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.wait()


def _daemon(scan: Scan) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "cluster", "schedule", str(scan.folder / "config.yaml")],
        stderr=subprocess.PIPE,
        text=True,
        cwd=scan.folder,
        env=os.environ | {"RAY_ADDRESS": "local"},
    )


def test_an_update_that_was_stopped_or_killed_with_its_daemon_is_finished_by_the_next(
    scheduled: Scan, daemon: Callable[[], subprocess.Popen[str]]
) -> None:
    journal, exchange = Journal(str(scheduled.store)), scheduled.exchange
    stopped = daemon()
    until(lambda: exchange.judge()["requests"] >= 3, within_s=60)
    stopped.terminate()
    _, err = stopped.communicate(timeout=60)
    assert (stopped.returncode, "Traceback" in err) == (Exit.INTERRUPTED, False), err
    drained = journal.newest(datetime.now(IST))["often"]
    assert (drained.outcome, drained.missed > 170) == (Outcome.INTERRUPTED, True)
    sent = exchange.judge()["requests"]
    assert len(scheduled.receipts()) == sent < 13
    first = daemon()
    until(lambda: exchange.judge()["requests"] >= sent + 2, within_s=60)
    family = psutil.Process(first.pid).children(recursive=True)
    child = next(each for each in family if "--once" in each.cmdline())
    first.kill()
    child.kill()
    first.communicate()
    killed = journal.newest(datetime.now(IST))["often"]
    assert killed.outcome is Outcome.RUNNING
    exchange.set_latency(0)
    second = daemon()
    try:
        # A later minute may have come due by now, and stands for the one that was killed.
        until(
            lambda: (
                journal.newest(datetime.now(IST))["often"].outcome
                in (Outcome.DONE, Outcome.SKIPPED)
            ),
            90,
        )
    finally:
        second.terminate()
        _, err = second.communicate(timeout=60)
    assert second.returncode == Exit.DONE, err
    assert "Traceback" not in err
    assert journal.read("often", killed.occasion) != killed
    assert {row["status"] for row in scheduled.receipts()} == {"stored"}
    (answer,) = scheduled.folder.glob("all-20??-??-??.csv")
    assert len(answer.read_text().splitlines()) == 1 + 5
    assert len(scheduled.rows()) == 10  # five symbols, two timeframes
    assert exchange.judge()["requests"] <= 15 + 2  # what was under way just then
    assert_gone(family)
    _asks_the_screens_of_one_killed_before_it_came_to_them(scheduled, answer)


def _asks_the_screens_of_one_killed_before_it_came_to_them(scan: Scan, answer: Path) -> None:
    journal, sent = Journal(str(scan.store)), scan.exchange.judge()["requests"]
    now = datetime.now(IST).replace(microsecond=0)
    killed = Record(job="often", occasion=now, outcome=Outcome.RUNNING).begun(now)
    journal.write(killed)
    answer.unlink()
    once = [sys.executable, "-P", "-m", "cluster", "schedule", "config.yaml", "--once", "often"]
    subprocess.run(once, cwd=scan.folder, check=True, timeout=60)
    ended = journal.read("often", now)
    assert ended is not None
    assert (ended.outcome, len(ended.attempts)) == (Outcome.DONE, 2)
    assert answer.exists()
    assert scan.exchange.judge()["requests"] == sent
    # So they are of what somebody else has brought, but not of what they were asked of before.
    journal.write(replace(ended, screened=0))
    answer.unlink()
    outcomes = []
    for _ in range(2):
        subprocess.run(once, cwd=scan.folder, check=True, timeout=60)
        outcomes.append(journal.newest(datetime.now(IST))["often"].outcome)
    assert outcomes == [Outcome.DONE, Outcome.SKIPPED]
    assert answer.exists()
