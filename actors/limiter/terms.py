from __future__ import annotations

from dataclasses import dataclass

from actors.limiter.clock import Reading
from actors.market.window import NS_PER_S, Window

#: A request may arrive for so long after its connection was closed: longer than networks hold anything
#: back in practice, though TCP's formal bound for a segment is two minutes (RFC 9293, 3.4.2).
ON_ITS_WAY_S = 60.0


@dataclass(frozen=True, slots=True)
class Terms:
    """What a run asks of the limiter. Carried by every call, so that a restarted limiter knows it."""

    budget: str  # one per provider and account
    windows: tuple[Window, ...]
    timeout_s: float  # no request of the run is waited for longer

    @property
    def lifetime_ns(self) -> int:
        """From a grant until its request can surely not arrive any more, whatever became of its holder."""
        return round((self.timeout_s + ON_ITS_WAY_S) * NS_PER_S)


@dataclass(frozen=True, slots=True)
class Permit:
    """The right to send one request, soon."""

    number: int
    granted: Reading


#: A permit is used within this, or not at all. Leaves most of `ON_ITS_WAY_S` to the network.
USED_WITHIN_NS = 15 * NS_PER_S


def is_stale(permit: Permit, now: Reading) -> bool:
    """Whether a request sent now could outlive what the limiter counts of the permit.

    So after a computer's sleep. On another computer than the limiter's only the wall clocks compare.
    """
    if permit.granted.boot_id == now.boot_id:
        return now.boot_ns - permit.granted.boot_ns > USED_WITHIN_NS
    return abs(now.wall_ns - permit.granted.wall_ns) > USED_WITHIN_NS
