"""Whether the provider fails altogether: then it is asked one question now and then, and no more.

    closed --10 failures in a row, or nothing else to try--> doubtful --a probe fails--> open
       ^                                                         |                         |
       +------------------------- a probe is answered -----------+-------------------------+

No clock, no Ray.
"""

from __future__ import annotations

from dataclasses import dataclass

from actors.market.chunk import Cause
from actors.upstox.reply import Refused

#: So many failures in a row, without an answer between them, are no chance any more.
TRIP_AFTER = 10
#: Each wait is twice the one before: 15 probes in ten minutes, 35 in half an hour.
FIRST_PROBE_AFTER_S = 1.0
PROBE_EVERY_AT_MOST_S = 60.0


@dataclass(frozen=True, slots=True)
class Outage:
    """The provider fails."""

    refused: Refused  # what it said last
    since_s: float
    next_try_s: float | None  # None: it is being asked

    @property
    def why(self) -> str:
        """`503`, `timeout`."""
        if self.refused.cause is Cause.SERVER_ERROR and self.refused.http_status is not None:
            return str(self.refused.http_status)
        return self.refused.cause.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Strain:
    """What outages have cost a run."""

    outages: int = 0
    seconds: float = 0.0  # of all of them together
    probes: int = 0  # requests sent only to see whether the provider answers


class Breaker:
    """Outcomes and the time in; when to pause, when to probe, and whom to believe out."""

    def __init__(self) -> None:
        self._failures = 0  # since the last answer
        self._since_s: float | None = None  # it is tripped; None: closed
        self._refused: Refused | None = None
        self._wait_s = 0.0
        self._probe_at_s = 0.0
        self.probing = False
        #: It is open: a probe has failed too, so that failures are the provider's and no chunk's.
        self.confirmed = False
        self.outages = 0
        self._lasted_s = 0.0

    @property
    def outage(self) -> Outage | None:
        """None while it is closed."""
        if self._since_s is None:
            return None
        assert self._refused is not None
        return Outage(self._refused, self._since_s, None if self.probing else self._probe_at_s)

    def lasted_s(self, now_s: float) -> float:
        """How long all outages were together, one that lasts included."""
        since_s = now_s if self._since_s is None or not self.confirmed else self._since_s
        return self._lasted_s + now_s - since_s

    def answered(self) -> bool:
        """A request was answered. Whether that clears the provider of the failures before.

        While it is tripped it does not: the request may have been sent before they began.
        """
        if self._since_s is None:
            self._failures = 0
        return self._since_s is None

    def failed(self, refused: Refused, now_s: float) -> None:
        self._refused = refused
        self._failures += 1
        if self._failures >= TRIP_AFTER:
            self.trip(now_s)

    def trip(self, now_s: float) -> None:
        """Find out, by a probe. Only after a failure."""
        if self._since_s is None:
            self._since_s = now_s
            self._wait_s = FIRST_PROBE_AFTER_S
            self._probe_at_s = now_s + self._wait_s

    def due(self, now_s: float) -> bool:
        """Whether a probe is to be sent now."""
        return self._since_s is not None and not self.probing and now_s >= self._probe_at_s

    def probe_answered(self, now_s: float) -> None:
        self._lasted_s = self.lasted_s(now_s)
        self._since_s, self._failures = None, 0
        self.probing = self.confirmed = False

    def probe_failed(self, refused: Refused, now_s: float) -> None:
        self._refused = refused
        self.outages += not self.confirmed
        self.confirmed = True
        self._wait_s = min(PROBE_EVERY_AT_MOST_S, 2 * self._wait_s)
        named_s = refused.retry_after_s or 0.0
        self._probe_again(now_s + max(self._wait_s, named_s))

    def probe_lost(self, now_s: float) -> None:
        """It says nothing: it was not sent, or refused for its rate, or its fetcher died."""
        self._probe_again(now_s + self._wait_s)

    def _probe_again(self, at_s: float) -> None:
        self.probing = False
        self._probe_at_s = at_s
