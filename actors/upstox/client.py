from __future__ import annotations

import http.client
import importlib.metadata
import json
import math
import threading
import time
import zlib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Self
from urllib.parse import quote, urlsplit

import requests
import urllib3

from actors.market.address import checked_url, is_loopback
from actors.market.chunk import Cause
from actors.market.errors import UsageError
from actors.market.timeframe import Timeframe
from actors.upstox.deadline import Deadline, Watchdog
from actors.upstox.fault import Fault, fault_of, retry_after_s, says_all
from actors.upstox.limits import API_URL, CANDLES_PATH, INTRADAY_PATH
from actors.upstox.reply import Answer, Refused
from actors.upstox.token import TokenSource
from actors.upstox.transport import open_session
from actors.upstox.wire import Decoded, decode

DEFAULT_TIMEOUT_S = 30.0
#: 25 times the largest answer seen (a month of 1-minute bars, 600 KB). Each thread may hold one, unpacked.
DEFAULT_MAX_BODY_BYTES = 16 * 1024 * 1024

_PIECE_BYTES = 1024 * 1024
_MAX_ERROR_BYTES = 64 * 1024
_MESSAGE_CHARS = 200
_ROW_CHARS = 500


#: Whatever the libraries below may raise for what a network or a server does.
_FOREIGN = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    UnicodeError,
    zlib.error,
)
_TIMEOUTS = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
_UNCONNECTED = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
_UNREADABLE = (
    requests.exceptions.ContentDecodingError,
    requests.exceptions.InvalidHeader,
    urllib3.exceptions.DecodeError,
    urllib3.exceptions.InvalidHeader,
    UnicodeError,
    zlib.error,
)


@dataclass(slots=True)
class _Response:
    http_status: int | None = None
    unsent: bool = False
    body: bytes = b""
    body_bytes: int = 0
    retry_after_s: float | None = None
    fault: Fault | None = None


class UpstoxClient:
    """Asks the provider for candles, one request a call. May be shared between threads.

    A call takes no longer than `timeout_s`, whatever the server does. Nothing is sent twice,
    and nothing is followed. The token goes to `base_url` only, which must be https or loopback.
    """

    def __init__(
        self,
        base_url: str = API_URL,
        token: TokenSource | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
        user_agent: str | None = None,
    ) -> None:
        self._base_url = _checked(base_url)
        if not (math.isfinite(timeout_s) and timeout_s > 0):
            raise UsageError("must be a number of seconds above zero", "provider.timeout_s")
        self._token = token or TokenSource()
        self._timeout_s = timeout_s
        self._max_body_bytes = max_body_bytes
        self._headers = {
            "User-Agent": user_agent or _own_name(),
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
        }
        self._watchdog = Watchdog(timeout_s)
        self._own = threading.local()

    def historical(
        self, instrument_key: str, timeframe: Timeframe, first: date, last: date
    ) -> Answer | Refused:
        """Ask for the days `first` to `last`, both included."""
        span = f"{last.isoformat()}/{first.isoformat()}"  # the later comes first
        return self._ask(f"{CANDLES_PATH}/{_path(instrument_key, timeframe)}/{span}", timeframe)

    def intraday(self, instrument_key: str, timeframe: Timeframe) -> Answer | Refused:
        """Ask for today, so far."""
        return self._ask(f"{INTRADAY_PATH}/{_path(instrument_key, timeframe)}", timeframe)

    def close(self) -> None:
        """Close this thread's connection, and expect no calls from any thread any more."""
        self._drop_session()
        self._watchdog.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, path: str, timeframe: Timeframe) -> Answer | Refused:
        try:
            token = self._token.read()
        except UsageError as error:
            return Refused(cause=Cause.UNAUTHORIZED, message=str(error))
        began_s = time.monotonic()
        response = self._exchange(self._base_url + path, token)
        seconds = time.monotonic() - began_s
        outcome: Decoded | Fault = response.fault or decode(response.body, timeframe)
        if isinstance(outcome, Decoded):
            return Answer(
                bars=outcome.bars,
                misshapen=tuple(
                    (_clean(row, token, _ROW_CHARS), reason) for row, reason in outcome.misshapen
                ),
                body_bytes=response.body_bytes,
                seconds=seconds,
            )
        return Refused(
            cause=outcome.cause,
            message=_clean(outcome.message, token, _MESSAGE_CHARS),
            http_status=response.http_status,
            unsent=response.unsent,
            error_code=outcome.error_code,
            retry_after_s=response.retry_after_s,
            body_bytes=response.body_bytes,
            seconds=seconds,
        )

    def _exchange(self, url: str, token: str | None) -> _Response:
        response = _Response()
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        with Deadline(self._watchdog) as deadline:
            try:
                self._receive(url, headers, response)
            except _FOREIGN as error:
                response.unsent = response.http_status is None and _is_unconnected(error)
                response.fault = response.fault or self._fault(error, deadline)
            if deadline.passed:
                # What came may be cut without looking so; and the connection is.
                self._drop_session()
                response.fault = response.fault or self._too_late()
        return response

    def _receive(self, url: str, headers: dict[str, str], response: _Response) -> None:
        """Fill `response` as far as it comes. A body is not missed where the status says all."""
        with self._session().get(
            url, headers=headers, stream=True, allow_redirects=False, timeout=self._timeout_s
        ) as answer:
            response.http_status = answer.status_code
            if answer.status_code == requests.codes.ok:
                self._read_candles(answer.raw, response)
                return
            response.retry_after_s = retry_after_s(
                answer.headers.get("Retry-After"), datetime.now(UTC)
            )
            if says_all(answer.status_code):
                response.fault = fault_of(answer.status_code, b"")
            if not answer.is_redirect:
                body = answer.raw.read(_MAX_ERROR_BYTES, decode_content=True)
                response.body_bytes = answer.raw.tell()
                response.fault = fault_of(answer.status_code, body)

    def _read_candles(self, raw: Any, response: _Response) -> None:
        pieces: list[bytes] = []
        size = 0
        # In large pieces: `Response.content` takes 10 KB at a time, and five times as long.
        while piece := raw.read(_PIECE_BYTES, decode_content=True):
            size += len(piece)
            response.body_bytes = raw.tell()
            if size > self._max_body_bytes:
                response.fault = Fault(
                    Cause.BODY_TOO_LARGE, f"the answer is larger than {self._max_body_bytes} bytes"
                )
                return
            pieces.append(piece)
        response.body = pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _fault(self, error: Exception, deadline: Deadline) -> Fault:
        if deadline.passed or isinstance(error, _TIMEOUTS):
            return self._too_late()
        if isinstance(error, _UNREADABLE):
            return Fault(Cause.BAD_BODY, f"the answer cannot be read: {_innermost(error)}")
        return Fault(Cause.CONNECTION, f"the connection broke: {_innermost(error)}")

    def _too_late(self) -> Fault:
        return Fault(Cause.TIMEOUT, f"no whole answer within {self._timeout_s:g} s")

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._own, "session", None)
        if session is None:
            host = urlsplit(self._base_url).hostname or ""
            session = open_session(self._base_url, self._headers, proxied=not is_loopback(host))
            self._own.session = session
        return session

    def _drop_session(self) -> None:
        session: requests.Session | None = getattr(self._own, "session", None)
        if session is not None:
            session.close()
            self._own.session = None


def _path(instrument_key: str, timeframe: Timeframe) -> str:
    # A key with half a surrogate pair has no UTF-8; a question mark makes it a key nobody has.
    key = quote(instrument_key, safe="", errors="replace")
    return f"{key}/{timeframe.unit}s/{timeframe.interval}"


def _checked(base_url: str) -> str:
    try:
        return checked_url(base_url)
    except ValueError as error:
        raise UsageError(str(error), "provider.base_url") from None


def _own_name() -> str:
    try:
        version = importlib.metadata.version("candlefleet")
    except importlib.metadata.PackageNotFoundError:  # run from a checkout
        version = "0"
    return f"candlefleet/{version} python-requests/{requests.__version__}"


def _clean(text: str, token: str | None, max_chars: int) -> str:
    """One line, not long, without the token."""
    if token is not None:
        for form in (token, json.dumps(token)[1:-1]):
            text = text.replace(form, "[token]")
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= max_chars else line[: max_chars - 1] + "…"


def _is_unconnected(error: BaseException) -> bool:
    """Whether it came to no connection, so that nothing can have been sent."""
    if isinstance(error, _UNCONNECTED):
        return True
    inner = (getattr(error, "reason", None), *error.args)
    return any(isinstance(one, BaseException) and _is_unconnected(one) for one in inner)


def _innermost(error: BaseException) -> str:
    """Dig out the reason from all that the libraries have wrapped around it."""
    for inner in (getattr(error, "reason", None), *error.args, error.__cause__):
        if isinstance(inner, BaseException):
            return _innermost(inner)
    return str(error) or type(error).__name__
