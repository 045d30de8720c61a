"""What a fetcher tells the driver of one request. Candles never come this way."""

from __future__ import annotations

from dataclasses import dataclass

from actors.market.chunk import Status
from actors.upstox.reply import Refused


@dataclass(frozen=True, slots=True)
class Delivered:
    """The writer holds the chunk's receipt, and its candles if any; committing is the writer's to tell."""

    writer: str  # which incarnation of the writer; another one knows nothing of it
    status: Status
    rows: int


@dataclass(frozen=True, slots=True)
class TryAgain:
    """It may pass. How often to try is dispatch's to say."""

    wait_s: float
    refused: Refused


@dataclass(frozen=True, slots=True)
class Throttled:
    """The provider refused the request for its rate (429); the limiter knows, and lets all wait."""

    error: str


@dataclass(frozen=True, slots=True)
class TooLong:
    """The provider refuses the span; nothing was delivered."""


@dataclass(frozen=True, slots=True)
class Halted:
    """The provider turned us away (token, ban): the run must end."""

    reason: str
    http_status: int | None
    error_code: str | None


@dataclass(frozen=True, slots=True)
class Unsent:
    """No request was sent: the run is stopping or paused for long, or the limiter is away."""

    reason: str


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A request was spent, but the writer could not take what came of it: it must be asked again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The provider answers, whatever it says; nothing was to be kept."""


#: Of an attempt at a chunk.
Outcome = Delivered | TryAgain | Throttled | TooLong | Halted | Unsent | Undelivered
#: Of a probe.
Word = Answered | TryAgain | Throttled | Halted | Unsent
