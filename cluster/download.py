from __future__ import annotations

import http.client
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a file did not come."""

    reason: str


def download(url: str, *, max_bytes: int, within_s: float) -> bytes | Trouble:
    """Fetch a file as it is served, or say why not; within `within_s`, whatever the server does."""
    host = urlsplit(checked_url(url)).hostname
    watchdog = Watchdog(within_s)
    try:
        with (
            Deadline(watchdog) as deadline,
            open_session(url, _HEADERS, proxied=not is_loopback(host or "")) as session,
        ):
            try:
                came = _get(session, url, max_bytes, within_s)
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
