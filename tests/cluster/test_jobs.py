from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import ray
from ray.job_submission import JobDetails, JobStatus, JobType
from typer.testing import CliRunner

from actors.market.errors import CandlefleetError, UsageError
from cluster import jobs
from cluster.cli import app
from cluster.config.settings import ProviderSettings
from cluster.jobs import Job, Jobs, job_of, summary_in
from cluster.run import DRAIN_S, LAST_LOOK_WITHIN_S
from tests.cluster.answering import Answering


@pytest.mark.parametrize(
    "address", ["auto", "ray://10.0.0.1:10001", "ftp://host", "http://", "h:x"]
)
def test_what_is_no_dashboards_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="is no dashboard's address"):
        Jobs(address)


def test_a_dashboard_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "ANSWER_WITHIN_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(UsageError, match=f"no Ray dashboard answers at {url}"):
            Jobs(url)


@pytest.mark.parametrize(
    ("code", "told"), [(None, "  in create\nERROR: no such package\nas told"), (3, "")]
)
def test_what_kept_a_job_from_beginning_is_told_by_the_end_of_rays_account(
    code: int | None, told: str
) -> None:
    """Where the command itself ended badly, its log has told."""
    message = "Traceback:\n  in setup\n  in create\nERROR: no such package\nas told\n"
    job = job_of(
        JobDetails(
            type=JobType.SUBMISSION,
            submission_id="raysubmit_1",
            status=JobStatus.FAILED,
            entrypoint="python -m cluster scan 'some configs/all.yaml' --json",
            message=message,
            driver_exit_code=code,
        )
    )
    assert job.trouble == told
    assert (job.config, job.exit) == ("some configs/all.yaml", code or 1)


def test_a_job_that_was_killed_is_said_to_be_and_has_no_exit_code() -> None:
    """Killed, its command could say nothing; Ray's account is but the end of its log."""
    job = job_of(
        JobDetails(
            type=JobType.SUBMISSION,
            submission_id="candlefleet-1",
            status=JobStatus.FAILED,
            entrypoint="exec python -m cluster scan all.yaml",
            message="Job entrypoint command failed with exit code -9, last available logs:\n0/9",
            driver_exit_code=-9,
        )
    )
    assert job.in_words().startswith("candlefleet-1  failed (SIGKILL)\n")
    assert (job.as_dict()["exit"], job.as_dict()["killed_by"]) == (None, "SIGKILL")
    assert job.trouble.startswith("it was killed (SIGKILL)")
    assert job.trouble.endswith("the same command goes on from there")
    assert job.exit == 1, "what submit ends with"


def test_an_entrypoint_that_no_shell_could_read_is_listed_all_the_same() -> None:
    details = JobDetails(
        type=JobType.SUBMISSION,
        submission_id="raysubmit_1",
        status=JobStatus.FAILED,
        entrypoint="python -m cluster scan 'all.yaml",
    )
    assert (job_of(details).id, job_of(details).config) == ("raysubmit_1", "")


@pytest.mark.parametrize(
    ("log", "summary"),
    [
        ("", None),
        ("candlefleet: no such file\n", None),
        ('Planned.\n{"run_id": "1"}\n{"run_id": "2"}\nDone.\n', '{"run_id": "2"}'),
    ],
)
def test_a_log_without_a_summary_has_none(log: str, summary: str | None) -> None:
    assert summary_in(log) == summary


LONG = "s3://a-bucket/with/a/long/prefix/for/all-of-the-nifty-500-at-every-timeframe"


def test_a_job_is_listed_in_lines_whose_values_stay_whole() -> None:
    began = datetime(2026, 11, 23, 13, 15, tzinfo=UTC)
    ended = Job("candlefleet-20261123-184501-9f3c", "all.yaml", LONG, "succeeded", began, 0)
    first, second = ended.in_words().splitlines()
    assert first == f"{ended.id}  succeeded (exit 0)  began 2026-11-23 18:45"
    assert second == f"  all.yaml into {LONG}"
    assert len(first) <= 80
    waits = Job("raysubmit_1", "all.yaml", "", "pending", None, None)
    assert waits.in_words() == "raysubmit_1  pending\n  all.yaml"


DONE = {
    "type": "SUBMISSION",
    "submission_id": "candlefleet-1",
    "status": "SUCCEEDED",
    "entrypoint": "python -m cluster scan all.yaml",
    "start_time": 1_764_000_000_000,
    "metadata": {"candlefleet": "1", "config": "all.yaml", "store": LONG},
}


class Dashboard(Answering, BaseHTTPRequestHandler):
    """As a cluster's that remembers jobs under their ids alone: one has ended, one runs on and on."""

    def do_GET(self) -> None:
        self.answer(
            {
                "/api/version": {"ray_version": ray.__version__},
                "/api/jobs/": [],
                "/api/jobs/candlefleet-2": DONE | {"status": "RUNNING"},
            }.get(self.path, DONE)
        )

    def do_POST(self) -> None:
        self.answer({"stopped": True})


@pytest.fixture
def dashboard() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Dashboard) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("option", ["--logs", "--stop"])
@pytest.mark.parametrize("job_id", ["", ".", "..", "../x/../../y", "a b", "a?b", "a\n", "é"])
def test_what_can_be_no_jobs_id_is_refused_by_its_option(option: str, job_id: str) -> None:
    """Before anybody is asked: nothing listens at that address."""
    refused = CliRunner().invoke(app, ["jobs", "--address", "http://127.0.0.1:9", option, job_id])
    assert isinstance(refused.exception, UsageError)
    assert refused.exception.where == option
    assert refused.exception.problem.startswith(f"{job_id!r} is no job's id")


@pytest.mark.parametrize(
    ("words", "shown", "told"),
    [
        ([], "", "knows no job of ours."),
        (
            ["--stop", "candlefleet-1"],
            f"  all.yaml into {LONG}\n",
            "candlefleet-1 had ended before.",
        ),
    ],
)
def test_that_there_is_nothing_to_list_or_to_stop_is_said(
    dashboard: str, words: list[str], shown: str, told: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cluster", "jobs", "--address", dashboard, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"COLUMNS": "80"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(shown)
    assert bool(done.stdout) == bool(shown)
    assert told in done.stderr


def test_a_job_that_drains_is_given_time_and_then_not_said_to_have_failed(
    dashboard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drains_s = ProviderSettings().timeout_s + DRAIN_S + 2 * LAST_LOOK_WITHIN_S
    assert drains_s < jobs.STOPPED_WITHIN_S
    monkeypatch.setattr(jobs, "STOPPED_WITHIN_S", 0.0)
    said = f"candlefleet-2 .* still draining .*: candlefleet jobs --address {dashboard}$"
    with pytest.raises(CandlefleetError, match=said):
        Jobs(dashboard).stop("candlefleet-2")
