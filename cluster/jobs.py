"""Runs as jobs of a Ray cluster: submitted to its dashboard, watched and stopped there."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit

import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from actors.market.errors import CandlefleetError, UsageError
from actors.market.sessions import IST
from cluster.ending import exit_of, killed_by
from cluster.joining import bring_token
from cluster.packing import Package
from cluster.scan import new_run_id
from cluster.version import VERSION

ANSWER_WITHIN_S = 30.0
#: A host that is gone accepts no connection, and does not refuse one either.
CONNECTED_WITHIN_S = 10.0
LOOK_EVERY_S = 1.0
#: A log is sent whole each time: the longer it is, the less often it is asked for.
LOG_BYTES_PER_S = 200_000
#: A watched job that is out of sight is told of after so long.
MISSED_AFTER_S = 5.0
#: It may be out of sight for so long.
BACK_WITHIN_S = 120.0
#: Ray kills a job three seconds after it was asked to end, unless the cluster says otherwise. Then it may
#: drain: by default 30 s for requests under way, 45 s beyond them, and two last looks at the fleet of 3 s
#: each. The rest is for its report and a busy machine.
STOPPED_WITHIN_S = 120.0
#: Of Ray's account of why a job did not begin: it ends with the reason, after all that led there.
TROUBLE_LINES = 3
TROUBLE_LINE_CHARS = 300

#: Where Ray's own commands look for a dashboard.
ADDRESS_VARIABLES = ["RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"]


@dataclass(frozen=True, slots=True)
class Job:
    id: str
    config: str
    store: str
    state: str  # pending, running, succeeded, failed, stopped
    began: datetime | None
    exit: int | None  # of `submit` that waits for it; None while it has not ended
    trouble: str = ""  # where the command itself had no chance to tell
    killed_by: str = ""  # the signal's name; then it has told no exit code

    @property
    def is_over(self) -> bool:
        return self.exit is not None

    def as_dict(self) -> dict[str, Any]:
        began = (
            None if self.began is None else self.began.astimezone(IST).isoformat(timespec="seconds")
        )
        return {
            "id": self.id,
            "config": self.config,
            "store": self.store,
            "state": self.state,
            "began": began,
            "exit": None if self.killed_by else self.exit,
            "killed_by": self.killed_by or None,
        }

    def in_words(self) -> str:
        """What may be long stands in a line of its own, whole, to be copied."""
        began = "" if self.began is None else f"  began {self.began.astimezone(IST):%Y-%m-%d %H:%M}"
        ended = "" if self.exit is None else f" ({self.killed_by or f'exit {self.exit:d}'})"
        into = f" into {self.store}" if self.store else ""
        return f"{self.id}  {self.state}{ended}{began}\n  {self.config}{into}"


class Jobs:
    """Those of one cluster. No call waits longer than `ANSWER_WITHIN_S` for each part of an answer.

    Every method raises UsageError if that is no cluster's dashboard, or knows no such job.
    """

    def __init__(self, address: str) -> None:
        self._address = _dashboard(address)
        with _in_words(self._address):
            self._client = _client(self._address)

    def submit(self, package: Package, config: str) -> str:
        """Start it as a job of its own, and return the job's id."""
        with _in_words(self._address):
            return self._client.submit_job(
                entrypoint=package.entrypoint,
                runtime_env=package.runtime_env,
                submission_id=f"candlefleet-{new_run_id(datetime.now(UTC))}",
                metadata={"candlefleet": VERSION, "config": config, "store": package.store},
            )

    def ours(self) -> list[Job]:
        """All that the cluster remembers of ours, latest first."""
        with _in_words(self._address):
            found = self._client.list_jobs()
        jobs = [job_of(each) for each in found if each.submission_id and _is_ours(each)]
        return sorted(
            jobs, key=lambda job: job.began or datetime.max.replace(tzinfo=UTC), reverse=True
        )

    def look(self, job_id: str) -> Job:
        with _in_words(self._address, job_id):
            return job_of(self._client.get_job_info(job_id))

    def log(self, job_id: str) -> str:
        with _in_words(self._address, job_id):
            return self._client.get_job_logs(job_id)

    def stop(self, job_id: str) -> Job:
        """Ask it to end (SIGTERM) and wait until it has; what it fetched stays, and it can be resumed.

        Raises CandlefleetError if it still drains after `STOPPED_WITHIN_S`.
        """
        with _in_words(self._address, job_id):
            self._client.stop_job(job_id)
        until_s = monotonic() + STOPPED_WITHIN_S
        while not (job := self.look(job_id)).is_over:
            if monotonic() > until_s:
                raise CandlefleetError(
                    f"{job_id} was asked to end and is still draining after {STOPPED_WITHIN_S:g} s; "
                    f"what became of it: candlefleet jobs --address {self._address}"
                )
            sleep(LOOK_EVERY_S / 4)
        return job

    def follow(self, job_id: str, show: Callable[[str], None], tell: Callable[[str], None]) -> Job:
        """Show its log as it grows, until it has ended; tell if it is out of sight meanwhile."""
        seen, seen_s, missed = 0, monotonic(), False
        while True:
            try:
                # In this order: what it wrote last is in a log that is read after its end.
                job = self.look(job_id)
                log = self.log(job_id)
            except UsageError as error:
                away_s = monotonic() - seen_s
                if away_s > BACK_WITHIN_S:
                    problem = f"lost sight of {job_id}, which may go on: {error}"
                    raise CandlefleetError(problem) from error
                if away_s > MISSED_AFTER_S and not missed:
                    left_s = BACK_WITHIN_S - away_s
                    tell(f"The cluster does not answer; waiting up to {left_s:.0f} s for it.")
                    missed = True
            else:
                seen_s, missed = monotonic(), False
                show(log[seen:])
                seen = len(log)
                if job.is_over:
                    return job
            sleep(LOOK_EVERY_S + seen / LOG_BYTES_PER_S)


_TALKATIVE = ("ray.dashboard.modules.dashboard_sdk", "ray._private.runtime_env.packaging")


class _Client(JobSubmissionClient):
    def _do_request(self, method: str, endpoint: str, **options: Any) -> requests.Response:
        """Ray's own waits as long as it takes."""
        waits_s = (CONNECTED_WITHIN_S, ANSWER_WITHIN_S)
        return super()._do_request(method, endpoint, timeout=waits_s, **options)


def _client(address: str) -> _Client:
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    parts = urlsplit(address)
    bring_token(parts.hostname or "", parts.port)
    # These would go over what we were told.
    hidden = {name: os.environ.pop(name) for name in ADDRESS_VARIABLES if name in os.environ}
    try:
        return _Client(address)
    finally:
        os.environ |= hidden


def _dashboard(address: str) -> str:
    url = address if "://" in address else f"http://{address}"
    try:
        parts = urlsplit(url)
        has_port = parts.port is not None or "://" in address
    except ValueError:
        has_port = False
    if not has_port or parts.scheme not in ("http", "https") or not parts.hostname:
        problem = f"{address!r} is no dashboard's address; write one like http://127.0.0.1:8265"
        raise UsageError(problem, "--address")
    return url.rstrip("/")


@contextmanager
def _in_words(address: str, job_id: str = "") -> Iterator[None]:
    """Say in the user's words what Ray's client says in Python's."""
    try:
        yield
    except AuthenticationError as error:
        problem = (
            f"{address} wants its cluster's token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH to "
            "a file that holds it"
        )
        raise UsageError(problem, "--address") from error
    except (requests.JSONDecodeError, requests.HTTPError, KeyError) as error:
        raise UsageError(f"{address} answers, but is no Ray dashboard", "--address") from error
    except (requests.RequestException, ConnectionError) as error:
        problem = (
            f"no Ray dashboard answers at {address}; on its machine, `ray start --head` tells where"
        )
        raise UsageError(problem, "--address") from error
    except RuntimeError as error:
        said = str(error).strip().splitlines()[0]
        if "Version check returned 404" in said:
            raise UsageError(f"{address} answers, but is no Ray dashboard", "--address") from error
        if job_id and "does not exist" in said:
            raise UsageError(f"{address} knows no job {job_id}", "jobs") from error
        raise UsageError(f"{address} refuses: {said}", "--address") from error


def _is_ours(job: JobDetails) -> bool:
    """Submitted by us, or by `ray job submit` for one of our commands."""
    named = any(words in job.entrypoint for words in ("candlefleet ", "-m cluster "))
    return named or "candlefleet" in (job.metadata or {})


def summary_in(log: str) -> str | None:
    """What the job's command printed for a machine; None if it ended before it had one."""
    summaries = [line for line in log.splitlines() if line.startswith('{"run_id"')]
    return summaries[-1] if summaries else None


def job_of(details: JobDetails) -> Job:
    state = details.status.value.lower()
    told, killer = details.metadata or {}, killed_by(details.driver_exit_code)
    return Job(
        id=details.submission_id or details.job_id or "",
        config=told.get("config") or _config(details.entrypoint),
        store=told.get("store", ""),
        state=state,
        began=_time(details.start_time),
        exit=exit_of(state, details.driver_exit_code),
        trouble=_trouble(details, killer),
        killed_by=killer,
    )


def _time(milliseconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None


def _trouble(details: JobDetails, killer: str) -> str:
    if details.status is not JobStatus.FAILED:
        return ""
    if killer:
        return f"it was killed ({killer}); what it fetched is kept, the same command goes on from there"
    if details.driver_exit_code is not None:
        return ""
    said = (details.message or "Ray does not say why").strip().splitlines()
    return "\n".join(line[:TROUBLE_LINE_CHARS] for line in said[-TROUBLE_LINES:])


def _config(entrypoint: str) -> str:
    """The first word that may be a config's path; none if no shell could read the words."""
    try:
        words = shlex.split(entrypoint)
    except ValueError:
        return ""
    return next((word for word in words if word.endswith((".yaml", ".yml", ".json"))), "")
