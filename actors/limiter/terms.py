from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from actors.limiter.clock import Reading
from actors.limiter.turns import Priority
from actors.market.window import NS_PER_S, Window
from actors.upstox.token import ANONYMOUS

#: A request may arrive for so long after its connection was closed: longer than networks hold anything
#: back in practice, though TCP's formal bound for a segment is two minutes (RFC 9293, 3.4.2).
ON_ITS_WAY_S = 60.0
ON_ITS_WAY_NS = round(ON_ITS_WAY_S * NS_PER_S)

_ROUNDING = 1e-9  # 0.58 of 50 is 29, though not in floats


@dataclass(frozen=True, slots=True)
class Terms:
    """What a run asks of the limiter. Carried by every call, so that a restarted limiter knows it."""

    budget: str  # the provider's host, and the family of endpoints where these are apart
    windows: tuple[Window, ...]  # the account's
    timeout_s: float  # no request of the run is waited for longer
    account: str = ANONYMOUS  # `TokenSource.account`; the ledger writes it down salted only
    share: float = 1.0  # of each window, for this run at the most
    reserve: tuple[Window, ...] = ()  # what the user's other programs send at the most
    priority: Priority = Priority.INTERACTIVE

    @property
    def lifetime_ns(self) -> int:
        """From a grant until its request can surely not arrive any more, whatever became of its holder."""
        return round((self.timeout_s + ON_ITS_WAY_S) * NS_PER_S)

    @property
    def own_windows(self) -> tuple[Window, ...]:
        """What the run may fill by itself."""
        return tuple(
            Window(max(1, math.floor(w.limit * self.share + _ROUNDING)), w.span_ns)
            for w in self.windows
        )


def reserved(window: Window, reserve: Iterable[Window]) -> int:
    """How many requests of others, who keep within all of `reserve`, may fall into the window."""
    return min((r.limit * math.ceil(window.span_ns / r.span_ns) for r in reserve), default=0)


def without(
    windows: Iterable[Window], reserves: Iterable[tuple[Window, ...]]
) -> tuple[Window, ...]:
    """What the widest of the reserves leaves of each window: at least one request."""
    kept = tuple(reserves)
    return tuple(
        Window(max(1, w.limit - max((reserved(w, r) for r in kept), default=0)), w.span_ns)
        for w in windows
    )


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that waits for a permit."""

    run_id: str
    terms: Terms


@dataclass(frozen=True, slots=True)
class Permit:
    """The right to send one request, soon."""

    number: int
    granted: Reading


class Fate(StrEnum):
    """What became of a permit's request."""

    ANSWERED = "answered"  # with anything but a 429
    REFUSED = "refused"  # with a 429
    GIVEN_UP = "given up"  # nobody waits for it any more, but it may still arrive
    UNSENT = "unsent"  # surely


@dataclass(frozen=True, slots=True)
class Settlement:
    """Returns a permit."""

    terms: Terms
    permit: int
    fate: Fate
    retry_after_s: float | None = None  # of a refused one, if the provider named it


#: A permit is used within this, or not at all. Leaves most of `ON_ITS_WAY_S` to the network.
USED_WITHIN_NS = 15 * NS_PER_S


def is_stale(permit: Permit, now: Reading) -> bool:
    """Whether a request sent now could outlive what the limiter counts of the permit.

    So after a computer's sleep. On another computer than the limiter's only the wall clocks compare.
    """
    if permit.granted.boot_id == now.boot_id:
        return now.boot_ns - permit.granted.boot_ns > USED_WITHIN_NS
    return abs(now.wall_ns - permit.granted.wall_ns) > USED_WITHIN_NS
