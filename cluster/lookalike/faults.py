"""Which answers go wrong, and how. What each looks like is `damage`'s and `delivery`'s business."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import unquote

from cluster.lookalike.randomness import fraction


class Fault(StrEnum):
    TOO_MANY = "too_many"  # 429 though no window is full
    SERVER_ERROR = "server_error"  # 500 and 503 with the error envelope, 502 with a web page
    HTML = "html"  # 200 and a web page
    ERROR_200 = "error_200"  # 200, and the error envelope
    TRUNCATED = "truncated"  # half of the body that Content-Length announced
    RESET = "reset"  # connection reset, no answer
    STALL = "stall"  # no answer, connection held
    DRIP = "drip"  # a good answer, a few bytes at a time
    CLOUDFLARE = "cloudflare"  # 403 with error 1010
    UNAUTHORIZED = "unauthorized"  # 401
    SHUFFLED = "shuffled"  # every row, in no order, some twice
    INSANE = "insane"  # every row, and bad ones between them
    SPOILED = "spoiled"  # bad rows in place of good ones
    TIMED_DAYS = "timed_days"  # some daily bars stamped in mid-session, as seen (2026-09-23)


#: What asking again mends without losing a candle; `mixed` in the rates spreads over these.
MIXED = (
    Fault.TOO_MANY,
    Fault.SERVER_ERROR,
    Fault.HTML,
    Fault.ERROR_200,
    Fault.TRUNCATED,
    Fault.RESET,
    Fault.STALL,
    Fault.DRIP,
    Fault.SHUFFLED,
    Fault.INSANE,
)


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Decides by path and how often it has come, so the order of other requests changes nothing."""

    rates: Mapping[str, float] = field(default_factory=dict)  # kind -> probability
    seed: int = 0
    per_path: int | None = None  # after so many arrivals a path is served well
    matching: str = ""

    def __post_init__(self) -> None:
        known = {*Fault, "mixed"}
        for kind, rate in self.rates.items():
            if kind not in known:
                raise ValueError(
                    f"no fault is called {kind!r}; there are {', '.join(sorted(known))}"
                )
            if not 0 <= rate <= 1:
                raise ValueError(f"the probability of {kind} is {rate}, not between 0 and 1")
        if sum(self.rates.values()) > 1 + 1e-9:
            raise ValueError("the probabilities of all faults together exceed 1")

    def deal(self, path: str, nth: int) -> Fault | None:
        """The fault for the `nth` arrival (from 1) of `path`, if any."""
        if not self.rates or (self.per_path is not None and nth > self.per_path):
            return None
        if self.matching not in unquote(path):
            return None
        drawn = fraction(self.seed, "fault", path, nth)
        for kind, rate in self._spread().items():
            drawn -= rate
            if drawn < 0:
                return kind
        return None

    def _spread(self) -> dict[Fault, float]:
        rates = dict.fromkeys(Fault, 0.0)
        for kind, rate in self.rates.items():
            for one in MIXED if kind == "mixed" else (Fault(kind),):
                rates[one] += rate / (len(MIXED) if kind == "mixed" else 1)
        return rates
