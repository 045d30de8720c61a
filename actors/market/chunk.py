from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from actors.market.timeframe import Timeframe


@dataclass(frozen=True, slots=True)
class Chunk:
    """One request's worth: an instrument, a timeframe, and the days `first` to `last`, both included."""

    instrument_key: str
    symbol: str
    timeframe: Timeframe
    first: date
    last: date

    @property
    def id(self) -> str:
        """Names the chunk in every run alike."""
        return f"{self.instrument_key}/{self.timeframe}/{self.first}/{self.last}"

    @property
    def segment(self) -> str:
        return self.instrument_key.partition("|")[0]

    def halves(self) -> tuple[Chunk, Chunk] | None:
        """The same days in two chunks; None for a single day."""
        if self.first == self.last:
            return None
        middle = self.first + (self.last - self.first) // 2
        return (
            Chunk(self.instrument_key, self.symbol, self.timeframe, self.first, middle),
            Chunk(
                self.instrument_key,
                self.symbol,
                self.timeframe,
                middle + timedelta(days=1),
                self.last,
            ),
        )


class Status(StrEnum):
    STORED = "stored"  # candles came and stand in the store
    EMPTY = "empty"  # the provider answered, and has nothing for these days
    FAILED = "failed"  # given up; a dead letter until a later run succeeds


class Cause(StrEnum):
    """Why a request brought no candles. What to do about each is decided in `fetcher/verdict.py`."""

    RATE_LIMITED = "rate_limited"  # 429, or UDAPI10005 in any disguise
    SERVER_ERROR = "server_error"  # 5xx, or an error the provider may recover from
    TIMEOUT = "timeout"  # the request's total deadline passed
    CONNECTION = "connection"  # refused, reset, or closed before the body ended
    BAD_BODY = (
        "bad_body"  # an answer that is not what the contract says: HTML, cut JSON, wrong shape
    )
    BODY_TOO_LARGE = "body_too_large"
    REDIRECTED = "redirected"  # candles never move; following could carry the token elsewhere
    SPAN_TOO_LONG = "span_too_long"  # UDAPI1148
    UNKNOWN_INSTRUMENT = "unknown_instrument"  # UDAPI1021, UDAPI100011
    BAD_REQUEST = "bad_request"  # any other 4xx: asking again cannot help
    UNAUTHORIZED = "unauthorized"  # 401: log in again
    BANNED = "banned"  # 403 of the provider's edge (Cloudflare)
    VANISHED = "vanished"  # the answer lacks candles that stand in the store; they were kept
    POISON = "poison"  # the chunk took its fetcher down too often


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a chunk, and the facts of its last request."""

    chunk: Chunk
    status: Status
    run_id: str
    fetched_at: datetime  # when the last answer was complete; UTC
    rows: int = 0  # candles kept
    quarantined: int = 0  # candles of the same answer put aside as insane
    final: bool = True  # False while some day of the span had not settled when it was fetched
    attempts: int = 0  # requests sent for it in this run
    http_status: int | None = None
    cause: Cause | None = None  # of a failure
    error_code: str | None = None  # the provider's, e.g. UDAPI100011
    error: str | None = None  # in words; never carries the token
    body_bytes: int = 0  # of the last answer, as received
    seconds: float = 0.0  # the last request's, from sending to the last byte
    revised: int = 0  # bars that stood as final and were no longer what the provider has
    ratio: float | None = None  # of the revised: new close to old, the median
    outdates: datetime | None = (
        None  # what was fetched of the instrument up to then may be out of date
    )
