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
    REDIRECT = "redirect"  # 302 to another host
    WRONG_TYPE = "wrong_type"  # a good answer that calls itself a web page
    NO_UTF8 = "no_utf8"  # a good answer but for a byte
    NESTED = "nested"  # 200 and brackets without end
    NO_NUMBERS = (
        "no_numbers"  # every row, and between them NaN, infinity, and digits by the hundred
    )
    CROWD = "crowd"  # a million candles
    ENDLESS = "endless"  # a body of three gigabytes
    BOMB = "bomb"  # a megabyte that unpacks to a gigabyte


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
#: Everything of that kind; `worst` in the rates spreads over these.
WORST = (
    *MIXED,
    Fault.REDIRECT,
    Fault.WRONG_TYPE,
    Fault.NO_UTF8,
    Fault.NESTED,
    Fault.NO_NUMBERS,
    Fault.CROWD,
    Fault.ENDLESS,
    Fault.BOMB,
)
#: What is done to a good answer. The others come in place of one.
DAMAGES = frozenset(
    {
        Fault.SHUFFLED,
        Fault.INSANE,
        Fault.SPOILED,
        Fault.TIMED_DAYS,
        Fault.WRONG_TYPE,
        Fault.NO_UTF8,
        Fault.NO_NUMBERS,
    }
)
_GROUPS: dict[str, tuple[Fault, ...]] = {"mixed": MIXED, "worst": WORST}


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Decides by path and how often it has come, so the order of other requests changes nothing."""

    rates: Mapping[str, float] = field(default_factory=dict)  # kind -> probability
    seed: int = 0
    per_path: int | None = None  # after so many arrivals a path is served well
    matching: str = ""

    def __post_init__(self) -> None:
        known = {*Fault, *_GROUPS}
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
            kinds = _GROUPS[kind] if kind in _GROUPS else (Fault(kind),)
            for one in kinds:
                rates[one] += rate / len(kinds)
        return rates
