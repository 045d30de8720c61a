"""Brings a message to a webhook or a command, in bounded time. What goes wrong is said, not raised."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import count
from urllib.parse import urlsplit

import requests
import urllib3

from actors.market.address import is_loopback
from actors.upstox.deadline import Deadline, Watchdog
from actors.upstox.fault import retry_after_s
from actors.upstox.transport import open_session
from cluster.version import VERSION
from cluster.wording import counted

_TROUBLE = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, UnicodeError)
_PASSES = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_LAST_WORDS_S = 5.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of what is done to tell somebody."""

    total_s: float = 30.0
    attempt_s: float = 10.0
    attempts: int = 5
    base_s: float = 1.0  # before the second attempt; twice as long before each further one

    def pause_s(self, attempt: int, asked_s: float | None) -> float:
        """How long to wait after that attempt; they count from 1. `asked_s`: by `Retry-After`."""
        return max(self.base_s * (1 << (attempt - 1)), asked_s or 0.0)


@dataclass(frozen=True, slots=True)
class _Refusal:
    said: str
    may_pass: bool
    retry_after_s: float | None = None


def post(url: str, body: bytes, headers: Mapping[str, str], bounds: Bounds) -> str | None:
    """Post JSON until it is taken (2xx). Returns why it was not; the words do not repeat the address.

    Nothing is followed, and no answer's body is read.
    """
    until_s = time.monotonic() + bounds.total_s
    for attempt in count(1):
        within_s = min(bounds.attempt_s, until_s - time.monotonic())
        refusal = _attempt(url, body, headers, within_s)
        if refusal is None:
            return None
        pause_s = bounds.pause_s(attempt, refusal.retry_after_s)
        out_of_time = time.monotonic() + pause_s >= until_s
        if not refusal.may_pass or attempt >= bounds.attempts or out_of_time:
            return f"{refusal.said}; given up after {counted(attempt, 'attempt')}"
        time.sleep(pause_s)
    raise AssertionError("attempts are bounded")


def run(
    argv: Sequence[str], message: bytes, environment: Mapping[str, str], within_s: float
) -> str | None:
    """Run a program with the message on its stdin. Returns why that failed; None if it ended with 0.

    Its stdout is dropped, for ours carries results. At the deadline it is killed, with all its group.
    """
    try:
        process = subprocess.Popen(  # noqa: S603  # the user's own, and no shell reads it
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:  # ValueError: characters that no argument can have
        return f"cannot be run ({_reason(error)})"
    try:
        process.communicate(message, timeout=within_s)
    except subprocess.TimeoutExpired:
        return f"was not over within {within_s:g} s, and was killed"
    finally:
        if process.poll() is None:
            _kill(process)
    code = process.returncode
    return None if code == 0 else f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def _attempt(url: str, body: bytes, headers: Mapping[str, str], within_s: float) -> _Refusal | None:
    sent = {"Content-Type": "application/json", "User-Agent": f"candlefleet/{VERSION}", **headers}
    watchdog = Watchdog(within_s)
    session = open_session(url, sent, proxied=not is_loopback(urlsplit(url).hostname or ""))
    try:
        with session, Deadline(watchdog) as deadline:
            try:
                with session.post(
                    url, data=body, stream=True, allow_redirects=False, timeout=within_s
                ) as answer:
                    return _refusal(answer)
            except _TROUBLE as error:
                late = deadline.passed or isinstance(error, requests.Timeout)
                said = f"no answer within {within_s:.3g} s" if late else _reason(error)
                return _Refusal(said, may_pass=True)
    finally:
        watchdog.close()


def _refusal(answer: requests.Response) -> _Refusal | None:
    status = answer.status_code
    if answer.ok and not answer.is_redirect and status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    may_pass = status in _PASSES or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    asked_s = retry_after_s(answer.headers.get("Retry-After"), datetime.now(UTC))
    return _Refusal(f"HTTP {status}", may_pass, asked_s)


def _reason(error: BaseException) -> str:
    """What the system says of it. The libraries' own words repeat the address."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
        inner = inner.__cause__ or inner.__context__
    return f"the connection broke: {type(error).__name__}"


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_LAST_WORDS_S)
