"""How a head is waited for. What it starts is none of Ray's."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from actors.market.errors import CandlefleetError
from cluster import local_cluster
from cluster.local_cluster import Told, environment, ready

#: Tells what it is told, when it is told.
ECHO = "print(input(), flush=True)"
NEWS = b'{"address": "127.0.0.1:1"}\n'


@pytest.fixture
def head() -> Iterator[subprocess.Popen[bytes]]:
    """As a head: it says in a line what became of it."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", ECHO], stdin=pipe, stdout=pipe) as started:
        yield started
        started.kill()


class Listener(logging.Handler):
    """Lets the head speak once it was said, so often as it is said, that it takes long."""

    def __init__(self, head: subprocess.Popen[bytes]) -> None:
        super().__init__()
        self.heard: list[str] = []
        self._head = head

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record.getMessage())
        assert self._head.stdin is not None
        self._head.stdin.write(NEWS)
        self._head.stdin.flush()


def test_that_ray_takes_long_is_said_once_and_then_waited_for(
    head: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_cluster, "SAY_AFTER_S", 0.0)
    listener = Listener(head)
    local_cluster.log.addHandler(listener)
    try:
        assert ready(head) == Told("127.0.0.1:1")
    finally:
        local_cluster.log.removeHandler(listener)
    assert listener.heard == ["ray.starting"]


def test_a_start_that_does_not_end_is_given_up(
    head: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_cluster, "READY_WITHIN_S", 0.0)
    with pytest.raises(CandlefleetError, match="^Ray was not there in 0 s$"):
        ready(head)


def test_nobody_waits_for_a_cluster_that_is_not_needed_any_more(
    head: subprocess.Popen[bytes],
) -> None:
    assert ready(head, lambda: True) is None


def test_a_head_that_fails_says_why_and_one_that_dies_that_it_did(
    head: subprocess.Popen[bytes],
) -> None:
    assert head.stdin is not None
    head.stdin.write(b'{"error": "no room\\nsee the logs"}\n')
    head.stdin.flush()
    with pytest.raises(CandlefleetError, match="^Ray does not start on this machine: no room$"):
        ready(head)
    with pytest.raises(CandlefleetError, match="^Ray does not start on this machine: it died$"):
        ready(head)


def password(state_dir: Path) -> str:
    return Path(environment(state_dir)["RAY_AUTH_TOKEN_PATH"]).read_text()


#: Its disk takes no byte more: the system refuses each, or ends the process that tries.
FULL = """
import resource, signal, sys
from pathlib import Path
from cluster.local_cluster import environment
signal.signal(signal.SIGXFSZ, getattr(signal, sys.argv[2]))
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
environment(Path(sys.argv[1]))
"""


@pytest.mark.parametrize(
    ("heeded", "said"),
    [("SIG_IGN", b"cannot be written"), ("SIG_DFL", b"")],
    ids=["told", "killed"],
)
def test_a_password_that_could_not_be_written_is_made_the_next_time(
    tmp_path: Path, heeded: str, said: bytes
) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path), heeded]
    failed = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert failed.returncode == (1 if said else -signal.SIGXFSZ), failed.stderr
    assert said in failed.stderr
    assert any(tmp_path.iterdir()), "it did not come so far"
    assert len(password(tmp_path)) == 64


@pytest.mark.parametrize("left", [None, ""])
def test_all_who_begin_at_once_have_one_password(tmp_path: Path, left: str | None) -> None:
    """Also where an empty one stood, which counts as none."""
    if left is not None:
        (tmp_path / "ray.token").write_text(left)
    together = Barrier(8)

    def begin(_: int) -> str:
        together.wait(60)
        return password(tmp_path)

    with ThreadPoolExecutor(8) as pool:
        (one,) = set(pool.map(begin, range(8)))
    assert len(one) == 64
