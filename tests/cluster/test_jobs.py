from __future__ import annotations

import socket

import pytest
from ray.job_submission import JobDetails, JobStatus, JobType

from actors.market.errors import UsageError
from cluster import jobs
from cluster.jobs import Jobs, exit_of, job_of, summary_in


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (JobStatus.PENDING, None, None),
        (JobStatus.RUNNING, None, None),
        (JobStatus.SUCCEEDED, 0, 0),
        (JobStatus.FAILED, 1, 1),
        (JobStatus.FAILED, 3, 3),
        (JobStatus.FAILED, 130, 130),
        (JobStatus.FAILED, None, 1),  # it never began
        (JobStatus.FAILED, -9, 1),
        (JobStatus.STOPPED, None, 130),
    ],
)
def test_a_jobs_end_is_told_as_its_command_would_have(
    status: JobStatus, code: int | None, told: int | None
) -> None:
    assert exit_of(status, code) == told


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
