"""`candlefleet schedule` as a user meets it, with nothing to fetch: no Ray starts here."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from actors.market.errors import UsageError
from cluster.cli.scheduling import schedule
from cluster.config import load
from cluster.exit import Exit
from cluster.interrupt import Interrupt
from cluster.schedule import daemon as daemon_room
from cluster.schedule.agenda import Due
from cluster.schedule.daemon import Daemon
from cluster.schedule.heed import heed
from cluster.schedule.listing import lines, look, table
from cluster.schedule.locks import at_work, daemon_of, is_at_work
from cluster.schedule.record import Journal, Outcome, Record

WITHIN_S = 60
#: Hours away, whenever this is read.
FAR = "daily 12:00" if datetime.now(UTC).hour > 12 else "daily 02:00"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "store": str(tmp_path / "store"),
                "universe": {"symbols": ["SBIN"]},
                "timeframes": ["1day"],
                "schedule": {"jobs": [{"name": "nightly", "when": FAR}]},
            }
        )
    )
    return path


def start(*words: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cluster", "schedule", *map(str, words)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def run(*words: str | Path) -> tuple[int, str, str]:
    out, err = (process := start(*words)).communicate(timeout=WITHIN_S)
    assert "Traceback" not in err, err
    return process.returncode, out, err


@pytest.fixture
def daemon(config: Path) -> Iterator[subprocess.Popen[str]]:
    process = start(config)
    try:
        assert process.stderr is not None
        assert "looks after" in process.stderr.readline()
        assert "nightly: from now on" in process.stderr.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_second_daemon_is_refused_by_name_and_the_first_ends_when_asked(
    config: Path, daemon: subprocess.Popen[str]
) -> None:
    code, _, err = run(config)
    assert code == Exit.USAGE
    assert f"process {daemon.pid} looks after it already" in err
    code, out, _ = run(config, "--list", "--json")
    assert (code, json.loads(out)["daemon"]) == (Exit.DONE, daemon.pid)
    daemon.send_signal(signal.SIGTERM)
    _, err = daemon.communicate(timeout=WITHIN_S)
    assert (daemon.returncode, "Traceback" in err) == (Exit.DONE, False)
    assert daemon_of(str(config.parent / "store")) is None


def record(outcome: Outcome, age: timedelta) -> Record:
    at = datetime.now(UTC).replace(microsecond=0) - age
    return Record(job="nightly", occasion=at, outcome=outcome, reason="so it is")


@pytest.mark.parametrize(
    ("outcome", "age", "code"),
    [
        (Outcome.DONE, timedelta(minutes=1), Exit.DONE),
        (Outcome.SKIPPED, timedelta(minutes=1), Exit.DONE),
        (Outcome.FAILED, timedelta(minutes=1), Exit.INCOMPLETE),
        (Outcome.DONE, timedelta(days=3), Exit.INCOMPLETE),  # overdue, and nobody is there
    ],
)
def test_the_list_s_exit_code_tells_whether_all_is_well(
    config: Path, outcome: Outcome, age: timedelta, code: Exit
) -> None:
    Journal(str(config.parent / "store")).write(record(outcome, age))
    found = look(load(config), datetime.now(UTC))
    assert found.exit == code
    assert found.jobs[0].is_overdue == (age > timedelta(days=1))
    told = found.as_dict()["jobs"][0]
    assert (told["job"], told["last"]["outcome"]) == ("nightly", outcome)
    assert found.jobs[0].next > datetime.now(UTC)
    assert table(found).row_count == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"once": "nope"}, "--once: there is no job 'nope'; there are nightly"),
        ({"once": "nightly", "listed": True}, "choose one of --once, --list and --emit"),
        ({"as_json": True}, "--json: goes with --list or --once"),
    ],
)
def test_what_cannot_be_is_refused(config: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        schedule(config, **options)
    assert not (config.parent / "store").exists()


def test_an_attempt_that_cannot_begin_is_put_down_and_told(config: Path) -> None:
    """A look-alike that is not there: the instrument master cannot be had."""
    url = "http://127.0.0.1:1"
    code, out, err = run(
        config, "--once", "nightly", "--json", "--base-url", url, "--assets-url", url
    )
    told = json.loads(out)
    assert code == told["attempts"][0]["exit"] != Exit.DONE
    assert told["outcome"] == "failed"
    assert "nightly: failed, " in err
    newest = Journal(str(config.parent / "store")).newest(datetime.now(UTC))["nightly"]
    assert (newest.outcome, newest.reason) == (Outcome.FAILED, told["reason"])


@pytest.mark.parametrize(
    ("screen", "said"),
    [
        ({"screen": "nosuch"}, "nosuch"),
        ({"screen": "nr7", "out": "/dev/null/answer.csv"}, "/dev/null cannot be made"),
    ],
)
def test_a_screen_that_cannot_be_asked_is_refused_before_anything_is_fetched(
    config: Path, screen: dict[str, str], said: str
) -> None:
    raw = yaml.safe_load(config.read_text())
    raw["schedule"]["jobs"][0]["screens"] = [screen]
    config.write_text(yaml.safe_dump(raw))
    settings = load(config)
    record = heed(settings.schedule.jobs[0], settings, datetime.now(UTC), Console())
    assert (record.outcome, record.attempts[0].exit) == (Outcome.FAILED, Exit.USAGE)
    assert said in record.reason


def test_a_daemon_whose_screens_are_not_there_is_refused_before_it_looks_after_anything(
    config: Path,
) -> None:
    for screen, said in {
        "nosuch": "there is no screen",
        "mine.yaml": "there is no such file",
    }.items():
        raw = yaml.safe_load(config.read_text())
        raw["schedule"]["jobs"][0]["screens"] = [screen]
        config.write_text(yaml.safe_dump(raw))
        with pytest.raises(UsageError, match=said):
            schedule(config)
    assert not (config.parent / "store").exists()


def test_it_is_told_who_could_not_be_told(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOBODY_SET_THIS", raising=False)
    raw = yaml.safe_load(config.read_text())
    raw["schedule"]["notify"] = [
        {"webhook": "$NOBODY_SET_THIS"},
        {"command": ["no-such-program-anywhere"]},
        {"command": ["true"]},
    ]
    config.write_text(yaml.safe_dump(raw))
    found = lines(look(load(config), datetime.now(UTC)))
    assert [line for line in found if "could not" in line] == [
        "could not tell webhook $NOBODY_SET_THIS: the environment does not have it",
        "could not tell command no-such-program-anywhere: there is no such program",
    ]


def test_one_at_a_time(config: Path) -> None:
    store = str(config.parent / "store")
    assert not is_at_work(store)
    with at_work(store):
        assert is_at_work(store)
    assert not is_at_work(store)


def test_a_changed_config_counts_and_a_broken_one_does_not(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    daemon = Daemon(lambda: load(config), [], said.append)
    before = load(config)
    raw = yaml.safe_load(config.read_text())
    config.write_text("store: [")
    assert daemon._reread(before) is before
    assert daemon._reread(before) is before
    assert len(said) == 1
    assert "until it is mended its jobs keep their times, and fail" in said[0]
    config.write_text(yaml.safe_dump(raw | {"schedule": {"jobs": [{"name": "b", "when": FAR}]}}))
    assert [job.name for job in daemon._reread(before).schedule.jobs] == ["b"]
    config.write_text(yaml.safe_dump(raw | {"store": str(config.parent / "other")}))
    assert daemon._reread(before) is before
    assert "another store" in said[-1]
    config.write_text("store: [")
    assert daemon._reread(before) is before
    assert len(said) == 3  # it had been well in between


def test_a_run_that_hangs_is_stopped_and_then_killed(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon_room, "RUN_ENDS_WITHIN_S", 0.0)
    monkeypatch.setattr(daemon_room, "DRAINED_WITHIN_S", 0.1)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(99)"
    said: list[str] = []
    settings = load(config)
    due = Due(settings.schedule.jobs[0], datetime.now(UTC), 0)
    hangs = Daemon(lambda: settings, [sys.executable, "-c", deaf], said.append)
    assert hangs._perform(Interrupt(), due) in (-signal.SIGTERM, -signal.SIGKILL)
    assert said == ["nightly has had 0 hours"]


def test_the_jobs_are_printed_for_others_to_start(config: Path) -> None:
    code, out, err = run(config, "--emit", "cron")
    assert (code, err) == (Exit.DONE, "")
    assert out.splitlines()[-1].endswith(f"schedule {config} --once nightly")


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("answer.txt", "'answer.txt' ends in none of .csv, .json, .parquet, .html"),
        ("nr7-{dat}.csv", "'{dat}' stands for nothing; there is {date}"),
    ],
)
def test_a_place_no_answer_can_go_to_is_refused_before_any_occasion(config, out, said):
    settings = yaml.safe_load(config.read_text())
    settings["schedule"]["jobs"][0]["screens"] = [{"screen": "nr7", "out": out}]
    config.write_text(yaml.safe_dump(settings))
    with pytest.raises(UsageError) as refused:
        load(config)
    assert f"schedule.jobs[0].screens[0].out: {said}" in str(refused.value)
