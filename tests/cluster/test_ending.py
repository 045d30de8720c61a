from __future__ import annotations

import subprocess
import sys

import pytest
from ray.job_submission import JobStatus

from cluster.ending import exit_of, killed_by


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
        (JobStatus.FAILED, 137, 1),
        (JobStatus.STOPPED, None, 130),
    ],
)
def test_a_jobs_end_is_told_as_its_command_would_have(
    status: JobStatus, code: int | None, told: int | None
) -> None:
    assert exit_of(status.value.lower(), code) == told


@pytest.mark.parametrize("shell", ["exec {}", "true; {}; exit $?"])
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGSEGV"])
def test_a_signal_is_known_by_what_a_real_process_leaves(shell: str, name: str) -> None:
    """Whether a shell stood between or not."""
    dies = f'"{sys.executable}" -c "import os, signal; os.kill(os.getpid(), signal.{name})"'
    done = subprocess.run(shell.format(dies), shell=True, check=False, capture_output=True)
    assert killed_by(done.returncode) == name


@pytest.mark.parametrize("code", [None, 0, 1, 2, 3, 127, 128, 130, 255])
def test_who_ended_by_himself_was_not_killed(code: int | None) -> None:
    assert killed_by(code) == ""


def test_a_signal_without_a_name_has_its_number() -> None:
    assert killed_by(-40) == "signal 40"
