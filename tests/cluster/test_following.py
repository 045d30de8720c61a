"""Watching a job of a cluster that falls silent meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import ray

from actors.market.errors import CandlefleetError
from cluster import jobs
from cluster.jobs import Jobs
from tests.cluster.answering import Answering

LOG = "one\ntwo\n"
SILENT = "SILENT"


class Dashboard(Answering, BaseHTTPRequestHandler):
    """As a cluster's of one job; `looks` are the states it tells, the last of them for good."""

    looks: list[str]

    def do_GET(self) -> None:
        if self.path == "/api/version":
            self.answer({"ray_version": ray.__version__})
        elif self.path.endswith("/logs"):
            self.answer({"logs": LOG})
        elif (state := self.looks.pop(0) if self.looks[1:] else self.looks[0]) == SILENT:
            self.close_connection = True  # not a word
        else:
            self.answer({"type": "SUBMISSION", "status": state, "entrypoint": "python -m cluster"})


@contextmanager
def telling(*looks: str) -> Iterator[Jobs]:
    handler = type("Telling", (Dashboard,), {"looks": list(looks)})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield Jobs(f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(jobs, "MISSED_AFTER_S", 0.0)


def test_each_silence_of_the_cluster_is_told_once_and_the_log_goes_on_after_it() -> None:
    shown: list[str] = []
    told: list[str] = []
    silences = [SILENT] * 3
    with telling("RUNNING", *silences, "RUNNING", *silences, "SUCCEEDED") as there:
        job = there.follow("candlefleet-1", shown.append, told.append)
    assert (job.state, "".join(shown)) == ("succeeded", LOG)
    assert told == ["The cluster does not answer; waiting up to 120 s for it."] * 2


def test_a_cluster_that_stays_silent_is_told_of_before_it_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "BACK_WITHIN_S", 0.5)
    told: list[str] = []
    with (
        telling("RUNNING", SILENT) as there,
        pytest.raises(CandlefleetError, match="lost sight of candlefleet-1, which may go on"),
    ):
        there.follow("candlefleet-1", lambda _: None, told.append)
    assert len(told) == 1


def test_a_moment_of_silence_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MISSED_AFTER_S", 60.0)
    told: list[str] = []
    with telling("RUNNING", SILENT, "SUCCEEDED") as there:
        there.follow("candlefleet-1", lambda _: None, told.append)
    assert told == []
