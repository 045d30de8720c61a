"""What a run has started is heard on this machine only, and none of it outlives what it was for."""

from __future__ import annotations

import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.cluster.test_interrupt import signal_until_it_ends
from tests.together.conftest import WITHIN_S, Scan, assert_gone, commands, family, finish
from tests.together.test_scan import expected, wait_until_committed


def wait_for(process: psutil.Process, is_wanted: Callable[[str], bool]) -> list[psutil.Process]:
    """Its family, once one of them has such a command line."""
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        found = family(process)
        if any(is_wanted(command) for command in commands(found)):
            return found
        time.sleep(0.02)
    pytest.fail("that process never came")


def libraries(process: psutil.Process) -> list[str]:
    return [each.path for each in process.memory_maps()]


def slowed(scan: Scan, latency_s: float) -> None:
    scan.config["writer"] = {"commit_every_s": 0.2}
    scan.config["fleet"] = {"fetchers": 1, "threads": 1}
    scan.exchange.set_latency(latency_s)


def test_a_run_is_heard_on_this_machine_only_and_when_its_cluster_dies_says_so_and_leaves_nothing(
    scan: Scan,
) -> None:
    slowed(scan, 0.4)
    process = scan.start()
    wait_until_committed(scan, process)
    everyone = family(psutil.Process(process.pid))
    names = commands(everyone)
    assert all(any(name in each for each in names) for name in ("gcs_server", "raylet", "Writer"))
    sockets = [c.laddr for each in everyone for c in each.net_connections() if c.status == "LISTEN"]
    assert len(sockets) > 5
    # An IPv6 socket that only hears IPv4's loopback.
    assert {socket.ip.removeprefix("::ffff:") for socket in sockets} == {"127.0.0.1"}
    (folder,) = {found[1] for each in names if (found := re.search(r"--temp_dir=(\S+)", each))}
    assert stat.S_IMODE(Path(folder).parent.stat().st_mode) == 0o700
    loaded = [path for each in everyone for path in libraries(each)]
    assert any("libarrow" in path for path in loaded)
    assert not [path for path in loaded if "/pandas/" in path], "which takes memory for nothing"

    (raylet,) = (each for each in everyone if each.name() == "raylet")
    raylet.kill()
    broken = finish(process)
    assert broken.code == 1
    assert "the Ray cluster has died" in broken.stderr
    assert broken.summary["pending"] > 0
    assert_gone(everyone)


@pytest.mark.parametrize("moment", ["cluster.head", "gcs_server"])
def test_a_signal_before_ray_is_there_ends_the_run_and_all_it_has_begun(
    scan: Scan, moment: str
) -> None:
    slowed(scan, 1.0 if moment == "cluster.head" else 0.0)
    process = scan.start()
    everyone = wait_for(psutil.Process(process.pid), lambda command: moment in command)
    process.send_signal(signal.SIGTERM)
    stopped = finish(process)
    assert stopped.code == 130, stopped.stderr
    assert_gone(everyone)


@pytest.fixture
def kept(scan: Scan) -> Iterator[psutil.Process]:
    """The head of the cluster that `up` has started."""
    said = keep("up")
    assert "It is up: " in said
    assert "It is up already: " in keep("up")
    head = psutil.Process(int(re.search(r"process (\d+)", said)[1]))  # type: ignore[index]
    everyone = family(head)
    try:
        yield head
    finally:
        everyone = [*{*everyone, *(family(head) if head.is_running() else [])}]
        assert "It is down." in keep("down")
        assert_gone(everyone)
        assert "None was up." in keep("down")


def keep(verb: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "cluster", verb]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    assert done.returncode == code, done.stderr
    return done.stderr


def test_runs_use_the_cluster_that_is_up_and_leave_no_actor_of_theirs_on_it(
    scan: Scan, kept: psutil.Process
) -> None:
    """Left at once by a second Ctrl-C, in the middle of a request that takes its time."""
    slowed(scan, 0.4)
    process = scan.start()
    wait_until_committed(scan, process)
    assert f"(process {process.pid}); wait for it, stop it, or --force" in keep("down", code=2)
    actors = [
        each for each in family(kept) if each.name().startswith(("ray::W", "ray::F", "ray::M"))
    ]
    assert len(actors) == 3
    scan.exchange.set_latency(20.0)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    said: list[str] = []
    while not said or "Stopping: SIGINT" not in said[-1]:
        said.append(process.stderr.readline())
        assert said[-1], "it ended instead of draining"
    assert signal_until_it_ends(process, signal.SIGINT) < 2
    assert process.returncode == 130
    process.communicate()
    assert any("on the cluster that `candlefleet up` keeps" in line for line in said)
    assert_gone(actors)

    scan.exchange.set_latency(0.0)
    done = scan.run()
    assert done.code == 0, done.stderr
    assert "on the cluster that `candlefleet up` keeps" in done.stderr
    assert scan.rows() == expected(scan)
    assert kept.is_running()
