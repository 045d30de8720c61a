"""How a head is waited for. What it starts is none of Ray's."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from actors.market.errors import CandlefleetError
from cluster import local_cluster
from cluster.local_cluster import Told, ready

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
