from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from actors.market.sessions import IST
from cluster.schedule.record import Journal, Outcome, Record
from tests.bucket import NAME

MONDAY = datetime(2024, 1, 22, 18, 0, tzinfo=IST)
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def record(job: str, days: int, outcome: Outcome = Outcome.DONE) -> Record:
    return Record(job=job, occasion=MONDAY + timedelta(days=days), outcome=outcome)


def check(store: str) -> None:
    journal = Journal(store)
    assert journal.newest(NOW) == {}
    assert journal.last(5) == []
    full = (
        Record(job="a-b", occasion=MONDAY, outcome=Outcome.RUNNING, missed=3, told=("x",))
        .begun(MONDAY + timedelta(seconds=2))
        .ended(
            MONDAY + timedelta(seconds=9),
            Outcome.FAILED,
            "₹ it failed",
            code=1,
            run_ids=["20240122-180002-1f2e"],
            requests=7,
        )
    )
    for each in (full, record("a", 1), record("a", 2, Outcome.SKIPPED), record("a-b", -1)):
        journal.write(each)
    assert journal.read("a-b", MONDAY.astimezone(UTC)) == full
    assert journal.read("a-b", MONDAY + timedelta(seconds=1)) is None
    assert journal.newest(NOW) == {"a-b": full, "a": record("a", 2, Outcome.SKIPPED)}
    assert journal.last(2) == [record("a", 2, Outcome.SKIPPED), record("a", 1)]
    again = full.begun(MONDAY + timedelta(minutes=5))
    journal.write(again)
    assert journal.newest(NOW)["a-b"] == again
    assert [attempt.exit for attempt in again.attempts] == [1, None]
    assert journal.newest(MONDAY)["a-b"] == again
    assert "a" not in journal.newest(MONDAY)  # a clock was ahead: it does not count yet
    journal.prune("a-b")
    assert len(journal.last(9)) == 4
    journal.prune("a-b", kept=1)
    assert [each for each in journal.last(9) if each.job == "a-b"] == [again]
    assert journal.newest(NOW)["a"] == record("a", 2, Outcome.SKIPPED)


def test_what_is_written_is_read_again_and_the_newest_of_each_job_found(tmp_path: Path) -> None:
    check(str(tmp_path / "store"))


@pytest.mark.usefixtures("bucket")
def test_in_a_bucket_as_well() -> None:
    check(f"s3://{NAME}/scheduled")


@pytest.mark.parametrize("content", ["", "[]", '{"job": "a"}', '{"job": 1}', "\xff"])
def test_what_others_have_written_there_is_passed_over(tmp_path: Path, content: str) -> None:
    journal = Journal(str(tmp_path))
    journal.write(record("a", 0))
    (tmp_path / "schedule" / "20260101-000000-a.json").write_text(content, encoding="latin-1")
    (tmp_path / "schedule" / "notes.txt").write_text("mine")
    stranger = journal._folder.read(record("a", 0).name)
    assert stranger is not None
    (tmp_path / "schedule" / "20260102-000000-a.json").write_bytes(stranger)  # under another name
    assert journal.newest(NOW) == {"a": record("a", 0)}
