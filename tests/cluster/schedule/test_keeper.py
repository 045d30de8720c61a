"""What becomes of an occasion whose process did not come to write it down."""

from __future__ import annotations

import shutil
import signal
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yaml

from actors.market.clock import Clock
from actors.market.sessions import IST
from cluster.config import load
from cluster.exit import Exit
from cluster.schedule.agenda import Due
from cluster.schedule.keeper import Keeper
from cluster.schedule.record import Journal, Outcome, Record

MONDAY = datetime(2024, 1, 22, 18, 0, tzinfo=IST)
DAY = timedelta(days=1)


class Kept:
    """A store whose one job is done by a process that ends with `code` and leaves no word."""

    def __init__(self, folder: Path) -> None:
        path = folder / "config.yaml"
        job = {"name": "nightly", "when": "daily 18:00"}
        content = {"store": str(folder / "store"), "schedule": {"jobs": [job]}}
        content |= {"universe": {"symbols": ["SBIN"]}, "timeframes": ["1day"]}
        path.write_text(yaml.safe_dump(content))
        self.config = load(path)
        self.journal = Journal(self.config.store)
        self.done: list[Due] = []
        self.said: list[str] = []

    def look(self, now: datetime, code: int = 0) -> Record | None:
        def perform(due: Due) -> int:
            self.done.append(due)
            return code

        return Keeper(self.config, perform, self.said.append, Clock.at(now)).look()


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_a_job_s_occasions_count_from_when_it_was_first_seen(kept: Kept) -> None:
    assert kept.look(MONDAY + timedelta(minutes=1)) is None
    assert kept.look(MONDAY + DAY - timedelta(minutes=1)) is None
    kept.look(MONDAY + DAY + timedelta(minutes=1))
    assert [(due.occasion, due.missed) for due in kept.done] == [(MONDAY + DAY, 0)]


@pytest.mark.parametrize(
    ("code", "outcome", "said"),
    [
        (-signal.SIGKILL, Outcome.FAILED, "its process ended with signal 9"),
        (Exit.USAGE, Outcome.FAILED, "its process ended with exit code 2"),
        (Exit.INTERRUPTED, Outcome.INTERRUPTED, "its process ended with exit code 130"),
    ],
)
def test_a_process_that_left_no_word_is_put_down(
    kept: Kept, code: int, outcome: Outcome, said: str
) -> None:
    kept.look(MONDAY - timedelta(minutes=1))
    at = MONDAY + timedelta(minutes=1)
    record = kept.look(at, code)
    assert record is not None
    assert record == kept.journal.newest(at)["nightly"]
    assert (record.outcome, record.reason, record.attempts[0].exit) == (outcome, said, code)
    if outcome is Outcome.FAILED:  # tried again, but not at once
        assert kept.look(at + timedelta(minutes=1)) is None
    assert kept.look(at + timedelta(minutes=6), code) is not None
    assert [due.occasion for due in kept.done] == [MONDAY, MONDAY]
    again = kept.journal.read("nightly", MONDAY)
    assert again is not None
    assert (again.outcome, len(again.attempts)) == (outcome, 2)  # so that its tries have an end


def test_a_store_deleted_in_mid_update_ends_no_daemon(kept: Kept) -> None:
    kept.look(MONDAY - timedelta(minutes=1))

    def perform(_due: Due) -> int:
        shutil.rmtree(kept.config.store)
        return 1

    now = Clock.at(MONDAY + timedelta(minutes=1))
    record = Keeper(kept.config, perform, kept.said.append, now).look()
    assert record is not None
    assert record.outcome is Outcome.FAILED


def test_a_clock_that_was_years_ahead_holds_up_no_job(kept: Kept) -> None:
    kept.look(MONDAY - timedelta(minutes=1))
    kept.journal.write(Record(job="nightly", occasion=MONDAY + 999 * DAY, outcome=Outcome.DONE))
    kept.look(MONDAY + timedelta(minutes=1))
    assert [due.occasion for due in kept.done] == [MONDAY]


def test_what_a_later_occasion_stands_for_is_not_said_to_be_running(kept: Kept) -> None:
    killed = Record(job="nightly", occasion=MONDAY, outcome=Outcome.RUNNING).begun(MONDAY)
    kept.journal.write(killed)
    kept.look(MONDAY + 3 * DAY)
    assert [(due.occasion, due.missed) for due in kept.done] == [(MONDAY + 3 * DAY, 2)]
    left = kept.journal.read("nightly", MONDAY)
    assert left is not None
    assert (left.outcome, left.attempts) == (Outcome.INTERRUPTED, killed.attempts)
