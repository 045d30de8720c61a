from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import requests

from cluster.lookalike.launch import run_lookalike
from cluster.lookalike.settings import Settings

SOURCE = str(Path(__file__).parents[3])


def start(*flags: str, stdin=subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "cluster.lookalike", *flags],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=SOURCE,
    )


def test_it_is_heard_on_this_machine_only():
    """Nobody else can reach what it serves and controls."""
    with run_lookalike() as exchange:
        connections = psutil.Process(exchange.pid).net_connections()
        heard = [each.laddr for each in connections if each.status == psutil.CONN_LISTEN]
        assert [f"http://{at.ip}:{at.port}" for at in heard] == [exchange.base_url]
        assert [at.ip for at in heard] == ["127.0.0.1"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("flags", [(), ("--with-parent",)])
def test_a_signal_ends_it_cleanly(number, flags):
    """One line with the address, then 0 and not a word, whether or not it waits for its parent."""
    process = start(*flags, stdin=subprocess.PIPE)
    line = json.loads(process.stdout.readline())
    assert requests.get(f"{line['base_url']}/judge", timeout=9).status_code == 200
    os.kill(process.pid, number)
    stdout, stderr = process.communicate(timeout=20)
    assert (process.returncode, stdout, stderr) == (0, b"", b"")


def test_it_ends_with_its_parent_if_told_so():
    """The parent's end closes the pipe, however it came."""
    process = start("--with-parent", stdin=subprocess.PIPE)
    process.stdout.readline()
    process.stdin.close()
    process.wait(timeout=20)
    assert process.returncode == 0
    process.stdout.close()
    process.stderr.close()


def fail_in_the_block(seen: list[int]) -> None:
    with run_lookalike(Settings(faults={"stall": 1.0})) as exchange:
        seen.append(exchange.pid)
        with pytest.raises(requests.exceptions.ReadTimeout):
            requests.get(f"{exchange.base_url}/v3/historical-candle/x", timeout=0.1)
        raise ZeroDivisionError


def test_it_ends_with_the_block_though_the_block_fails():
    """No server is left behind, not even one that is holding a connection."""
    seen: list[int] = []
    with pytest.raises(ZeroDivisionError):
        fail_in_the_block(seen)
    assert [psutil.pid_exists(pid) for pid in seen] == [False]


def test_a_wrong_flag_is_refused_in_words():
    """Exit code 2, and no traceback."""
    process = start("--auth=perhaps")
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 2
    assert b"auth is one of off, bad_token, required" in stderr
    assert b"Traceback" not in stderr


def test_a_server_that_cannot_start_is_reported_at_once():
    """Its port is taken."""
    with (
        run_lookalike() as exchange,
        pytest.raises(ChildProcessError),
        run_lookalike(Settings(port=int(exchange.base_url.rpartition(":")[2]))),
    ):
        pytest.fail("two servers on one port")
