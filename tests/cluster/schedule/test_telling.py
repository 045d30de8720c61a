"""Who is told what of an occasion, by a command that writes down what it reads."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from actors.market.clock import Clock
from actors.market.sessions import IST
from cluster.config import RunConfig, load
from cluster.schedule.agenda import again_at, occasion_now
from cluster.schedule.heed import heed
from cluster.schedule.keeper import Keeper
from cluster.schedule.record import Journal, Outcome, Record
from cluster.schedule.telling import is_untold, tell

MONDAY = datetime(2024, 1, 22, 18, 0, tzinfo=IST)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def heard(tmp_path: Path) -> Path:
    return tmp_path / "heard.jsonl"


@pytest.fixture
def config(tmp_path: Path, heard: Path) -> RunConfig:
    """Of a job that fails before it asks anybody: there is no such screen."""
    job = {"name": "nightly", "when": "daily 18:00", "screens": ["nosuch"], "retry_for_s": 600}
    path = tmp_path / "config.yaml"
    content = {
        "store": str(tmp_path / "store"),
        "universe": {"symbols": ["SBIN"]},
        "timeframes": ["1day"],
        "schedule": {"jobs": [job], "notify": [{"command": ["tee", "-a", str(heard)]}]},
    }
    path.write_text(yaml.safe_dump(content))
    return load(path)


def messages(heard: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in heard.read_text().splitlines()] if heard.exists() else []


def attempt(config: RunConfig, now: datetime, *, is_retried: bool) -> Record:
    (job,) = config.schedule.jobs
    at = occasion_now(job, Journal(config.store).newest(now).get(job.name), now)
    return heed(job, config, at, Console(), clock=Clock.at(now), is_retried=is_retried)


def test_a_failure_is_told_once_when_no_attempt_is_to_come(config: RunConfig, heard: Path) -> None:
    (job,) = config.schedule.jobs
    first = attempt(config, MONDAY, is_retried=True)
    assert (first.outcome, messages(heard)) == (Outcome.FAILED, [])
    at = again_at(job, first)
    assert at is not None
    second = attempt(config, at, is_retried=True)
    assert (second.occasion, len(second.attempts)) == (MONDAY, 2)
    assert again_at(job, second) is None
    (told,) = messages(heard)
    assert (told["kind"], told["job"], told["occasion"]) == (
        "failure",
        "nightly",
        MONDAY.isoformat(),
    )
    assert "nightly of Mon 22 Jan 18:00 failed after 2 attempts: " in told["text"]
    assert "nosuch" in told["text"]
    assert Journal(config.store).newest(at)["nightly"].told == second.told != ()


def test_by_hand_it_is_told_at_once_and_not_again_by_the_next_attempt(
    config: RunConfig, heard: Path
) -> None:
    attempt(config, MONDAY, is_retried=False)
    assert len(messages(heard)) == 1
    again = attempt(config, MONDAY + MINUTE, is_retried=False)  # as systemd would
    assert (again.occasion, len(again.attempts)) == (MONDAY, 2)
    assert len(messages(heard)) == 1
    later = attempt(config, MONDAY + timedelta(hours=5), is_retried=False)
    assert later.occasion > MONDAY
    assert [told["kind"] for told in messages(heard)].count("failure") == 2


def test_matches_are_told_and_a_stale_store_once_for_all_occasions(
    config: RunConfig, heard: Path
) -> None:
    """Nothing was ever fetched, though a job has been due for days."""
    journal, said = Journal(config.store), list[str]()
    journal.write(Record(job="nightly", occasion=MONDAY, outcome=Outcome.ADDED))
    for days in (2, 2, 3):
        at = MONDAY + timedelta(days=days)
        record = Record(job="nightly", occasion=at, outcome=Outcome.DONE, found={"a": 3, "b": 0})
        record = replace(record, told=(journal.read("nightly", at) or record).told)
        journal.write(tell(config, record, at + timedelta(hours=2), said.append))
    kinds = [(told["kind"], told["facts"].get("found")) for told in messages(heard)]
    assert kinds.count(("matches", 3)) == 2
    # Of Tuesday's session first, and then of Wednesday's.
    stale = [told["text"] for told in messages(heard) if told["kind"] == "stale"]
    assert len(stale) == len(set(stale)) == len(kinds) - 2 > 0
    assert said == []


def test_whom_nobody_reached_is_told_later_and_then_no_more(config: RunConfig, heard: Path) -> None:
    heard.mkdir()  # so that nothing can be written there
    attempt(config, MONDAY, is_retried=False)
    record = attempt(config, MONDAY + 6 * MINUTE, is_retried=False)  # its time is over then
    assert (record.outcome, is_untold(config, record)) == (Outcome.FAILED, True)
    keeper = Keeper(config, lambda _: 0, lambda _: None, Clock.at(MONDAY + timedelta(hours=1)))
    keeper.tell_again()
    heard.rmdir()
    for _ in range(2):
        keeper.tell_again()
        assert [told["kind"] for told in messages(heard)].count("failure") == 1
    (job,) = config.schedule.jobs
    told = Journal(config.store).read(job.name, MONDAY)
    assert told is not None
    assert not is_untold(config, told)


def test_a_stale_store_is_told_once_however_often_a_job_runs(
    config: RunConfig, heard: Path
) -> None:
    journal = Journal(config.store)
    journal.write(Record(job="nightly", occasion=MONDAY, outcome=Outcome.ADDED))
    at = MONDAY + timedelta(days=1, hours=2)
    for minute in range(50):
        record = Record(job="often", occasion=at + minute * MINUTE, outcome=Outcome.DONE)
        journal.write(tell(config, record, at + minute * MINUTE, print))
    assert [told["kind"] for told in messages(heard)].count("stale") == 1


def test_a_token_that_stands_in_a_file_is_in_no_message(
    config: RunConfig, heard: Path, tmp_path: Path
) -> None:
    token = "a-token-that-is-no-jwt"
    (tmp_path / "token").write_text(token)
    provider = config.provider.model_copy(update={"token_file": tmp_path / "token"})
    config = config.model_copy(update={"provider": provider})
    record = Record(
        job="nightly", occasion=MONDAY, outcome=Outcome.FAILED, reason=f"refused: {token}"
    )
    tell(config, record, MONDAY, print)
    assert "refused: " in heard.read_text()
    assert token not in heard.read_text()
