from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from cluster.driver import is_running, this_process

ANOTHER = """
import json
from cluster.driver import this_process
print(json.dumps(this_process()), flush=True)
input()
"""


def test_a_process_is_running_until_it_is_killed() -> None:
    """As a manifest tells of it: by way of JSON."""
    command = [sys.executable, "-c", ANOTHER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        driver = json.loads(process.stdout.readline())
        assert is_running(driver) is True
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and not buried
        assert is_running(driver) is False
    assert is_running(driver) is False
    assert is_running(this_process()) is True


@pytest.mark.parametrize(
    "changes",
    [{"host": "another"}, {"started_s": 1.0}, {"pid": "1"}, {"pid": -1}, {"host": None}],
)
def test_of_another_host_or_another_process_nothing_is_told(changes: dict[str, object]) -> None:
    assert is_running(this_process() | changes) is None


@pytest.mark.parametrize("driver", [None, 5, [], {}, {"pid": 1}])
def test_of_what_is_not_ours_nothing_is_told(driver: object) -> None:
    assert is_running(driver) is None
