from __future__ import annotations

import http.client
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import urlsplit

import requests
import urllib3

from actors.market.address import checked_url, is_loopback
from actors.upstox.deadline import Deadline, Watchdog
from actors.upstox.transport import open_session

_PIECE_BYTES = 256 * 2**10
_HEADERS = {"User-Agent": "candlefleet", "Accept-Encoding": "identity"}

#: Whatever the libraries below may raise for what a network or a server does.
_FOREIGN = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    UnicodeError,
)


Came = TypeVar("Came")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a file did not come."""

    reason: str


def download(url: str, *, max_bytes: int, within_s: float) -> bytes | Trouble:
    """Fetch a file as it is served, or say why not; within `within_s`, whatever the server does."""
    return _asked(url, within_s, lambda session: _get(session, url, max_bytes, within_s))


def time_there(url: str, *, within_s: float) -> datetime | Trouble:
    """What the server's clock shows, to the second, as it says so of a file without sending that."""
    return _asked(url, within_s, lambda session: _date(session, url, within_s))


def _asked(
    url: str, within_s: float, ask: Callable[[requests.Session], Came | Trouble]
) -> Came | Trouble:
    host = urlsplit(checked_url(url)).hostname
    watchdog = Watchdog(within_s)
    try:
        with (
            Deadline(watchdog) as deadline,
            open_session(url, _HEADERS, proxied=not is_loopback(host or "")) as session,
        ):
            try:
                came = ask(session)
            except _FOREIGN as error:
                came = Trouble(_in_words(error))
            # What was cut may not look so.
            return Trouble(f"not whole within {within_s:g} s") if deadline.passed else came
    finally:
        watchdog.close()


def _get(session: requests.Session, url: str, max_bytes: int, within_s: float) -> bytes | Trouble:
    with session.get(url, stream=True, timeout=within_s, allow_redirects=False) as response:
        if response.status_code != requests.codes.ok:
            moved = ", a redirect, and none is followed" if response.is_redirect else ""
            return Trouble(f"HTTP {response.status_code}{moved}")
        content = bytearray()
        while piece := response.raw.read(_PIECE_BYTES, decode_content=False):
            content += piece
            if len(content) > max_bytes:
                return Trouble(f"larger than {max_bytes:,} bytes")
        return bytes(content)


def _date(session: requests.Session, url: str, within_s: float) -> datetime | Trouble:
    with session.head(url, timeout=within_s, allow_redirects=False) as response:
        try:
            said = parsedate_to_datetime(response.headers.get("Date", ""))
        except ValueError:
            return Trouble("it does not say what time it is")
    return said if said.tzinfo is not None else said.replace(tzinfo=UTC)


def _in_words(error: Exception) -> str:
    match error:
        case requests.exceptions.SSLError():
            return "its certificate is not trusted"
        case requests.Timeout() | urllib3.exceptions.TimeoutError():
            return "no answer in time"
        case requests.ConnectionError():
            return "no connection"
        case _:
            return f"the connection broke ({type(error).__name__})"
