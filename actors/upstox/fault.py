"""What an answer without candles means: HTTP status and error code in, cause out. No I/O."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from actors.market.chunk import Cause

#: The widest published window: after it, any limit has drained.
MAX_RETRY_AFTER_S = 1_800.0

#: How much of a foreign text is looked at; what is shown is shorter still.
EXCERPT_CHARS = 8_192

_CODE = re.compile(r"[A-Za-z0-9_]{1,32}")

# Compared whole, never by prefix: UDAPI100050 (bad token) begins with UDAPI10005 (rate limit).
# Source: upstox.com/developer/api-documentation/error-codes, read 2026-09.
_CAUSES = {
    "UDAPI10005": Cause.RATE_LIMITED,
    "UDAPI100050": Cause.UNAUTHORIZED,
    "UDAPI1148": Cause.SPAN_TOO_LONG,
    "UDAPI1021": Cause.UNKNOWN_INSTRUMENT,
    "UDAPI100011": Cause.UNKNOWN_INSTRUMENT,
    "UDAPI1015": Cause.BAD_REQUEST,
    "UDAPI1020": Cause.BAD_REQUEST,
    "UDAPI1022": Cause.BAD_REQUEST,
    "UDAPI1146": Cause.BAD_REQUEST,
    "UDAPI1147": Cause.BAD_REQUEST,
    "UDAPI100036": Cause.BAD_REQUEST,
    "UDAPI100038": Cause.BAD_REQUEST,
    "UDAPI100060": Cause.BAD_REQUEST,
}

#: Cloudflare's own: the client's signature is banned (1010), the client is rate limited (1015).
_EDGE_CODES = frozenset({"1010", "1015"})

#: Statuses that say all, whatever code comes with them.
_BY_STATUS: dict[int, Cause] = {
    401: Cause.UNAUTHORIZED,
    408: Cause.SERVER_ERROR,
    429: Cause.RATE_LIMITED,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an answer holds no candles. The message may be long, and is not clean of secrets."""

    cause: Cause
    message: str
    error_code: str | None = None


@dataclass(frozen=True, slots=True)
class _Error:
    code: str | None
    message: str


def fault_of(http_status: int, body: bytes) -> Fault:
    """Read an answer whose HTTP status is not 200."""
    error = _error_in(body)
    if error is None:
        return Fault(_cause_of_status(http_status, None), f"HTTP {http_status}: {excerpt(body)}")
    cause = _cause_of_status(http_status, error.code)
    return Fault(cause, f"HTTP {http_status}: {error.message}", error.code)


def says_all(http_status: int) -> bool:
    """Tell whether the status is enough to go by, should the body not arrive."""
    return http_status in _BY_STATUS or http_status // 100 != HTTPStatus.BAD_REQUEST // 100


def fault_in_envelope(envelope: dict[str, object]) -> Fault:
    """Read an answer that came with HTTP 200 but whose `status` is `error`."""
    error = _error_of(envelope) or _Error(None, "an error without a description")
    # An unknown code may pass; asking again a few times costs little.
    cause = _CAUSES.get(error.code or "", Cause.SERVER_ERROR)
    return Fault(cause, f"HTTP 200, status error: {error.message}", error.code)


def excerpt(body: bytes) -> str:
    """Give the beginning of a foreign body, for a message."""
    return body[:EXCERPT_CHARS].decode("utf-8", "replace") or "no body"


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Read a Retry-After header: seconds or an HTTP date. None if there is no sense in it."""
    text = (header or "").strip()
    if re.fullmatch(r"[0-9]{1,10}", text):
        return min(float(text), MAX_RETRY_AFTER_S)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    if until.tzinfo is None:  # as `-0000` is read
        until = until.replace(tzinfo=UTC)
    return min(max(0.0, (until - now).total_seconds()), MAX_RETRY_AFTER_S)


def _cause_of_status(http_status: int, code: str | None) -> Cause:
    if http_status in _BY_STATUS:
        return _BY_STATUS[http_status]
    if _CAUSES.get(code or "") is Cause.RATE_LIMITED:
        return Cause.RATE_LIMITED
    match http_status // 100:
        case 3:
            return Cause.REDIRECTED
        case 4:
            return _cause_of_400s(http_status, code)
        case 5 | 6 | 7 | 8 | 9:
            return Cause.SERVER_ERROR
    return Cause.BAD_BODY


def _cause_of_400s(http_status: int, code: str | None) -> Cause:
    # The provider always gives a code of its own; a 403 without one is its edge's.
    if http_status == HTTPStatus.FORBIDDEN and (code is None or code in _EDGE_CODES):
        return Cause.BANNED
    return _CAUSES.get(code or "", Cause.BAD_REQUEST)


def _error_in(body: bytes) -> _Error | None:
    try:
        envelope = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return _error_of(envelope) if isinstance(envelope, dict) else None


def _error_of(envelope: dict[str, object]) -> _Error | None:
    """Pick the error to go by: the first whose code is known, else the first."""
    listed = envelope.get("errors")
    entries = listed if isinstance(listed, list) else [envelope]
    errors = [found for entry in entries if (found := _read_entry(entry)) is not None]
    known = [error for error in errors if error.code in _CAUSES]
    return next(iter(known or errors), None)


def _read_entry(entry: object) -> _Error | None:
    if not isinstance(entry, dict):
        return None
    code = _code_of(entry.get("error_code")) or _code_of(entry.get("errorCode"))
    text = entry.get("message")
    if code is None and not isinstance(text, str):
        return None
    return _Error(code, text[:EXCERPT_CHARS] if isinstance(text, str) else "no message")


def _code_of(value: object) -> str | None:
    text = str(value) if isinstance(value, int | str) else ""
    return text if _CODE.fullmatch(text) else None
