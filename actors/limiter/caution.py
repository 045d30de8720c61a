"""What to make of a refusal: a 429 says that the provider's count and ours disagree.

Somebody else spends from the same account, or the limits have changed. So everybody stops; then one
request asks whether it is over, and waits twice as long for the next where it is not. Once requests
are answered again, the windows that may have been the reason are trusted with a part of their limits
only, and with a little more after every span of theirs that passes in peace.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise

from actors.market.window import NS_PER_S, Window

#: The first pause, where the provider names none: the shortest published span.
FIRST_WAIT_NS = 1 * NS_PER_S

#: The longest: by then every published window has drained.
LONGEST_WAIT_NS = 1_800 * NS_PER_S

WHOLE = 1_000  # permille of a limit
_KEPT = 700  # of it, after a refusal
_REGAINED = 50  # more of it after each span of the window
_LEAST = 250

_REMEMBERED = 20  # refusals; each further back has been regained or counts for nothing


@dataclass(frozen=True, slots=True)
class Counted:
    """Our own count of a window, at a moment."""

    count: int
    window: Window

    def __str__(self) -> str:
        return f"{self.count}/{self.window}"


@dataclass(frozen=True, slots=True)
class Narrowing:
    """From when on, and of which windows, less is trusted."""

    at_ns: int
    spans_ns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Caution:
    """How far the limits are to be trusted. Times are on the clock of the spending."""

    narrowings: tuple[Narrowing, ...] = ()  # one for each time requests began to be refused
    is_settled: bool = True  # a request sent since the last refusal was not refused
    asked_ns: int = 0  # requests granted before this moment say nothing new
    until_ns: int = 0  # nothing is sent before
    wait_ns: int = 0  # the pause that ends then, had the provider named none
    probe_until_ns: int = 0  # a single request is under way, to learn whether it is over
    counted: tuple[Counted, ...] = ()  # our own count of each window when it was last refused

    def refused(
        self,
        granted_ns: int,
        now_ns: int,
        retry_after_ns: int | None,
        counted: Sequence[Counted],
    ) -> Caution:
        """A request was refused; the provider may have said for how long."""
        named_ns = 0 if retry_after_ns is None else now_ns + retry_after_ns
        if granted_ns < self.asked_ns:
            # It was under way together with one that was refused before.
            return replace(self, until_ns=max(self.until_ns, named_ns))
        if self.is_settled:
            narrowings = (*self.narrowings, Narrowing(now_ns, _suspects(counted)))[-_REMEMBERED:]
            wait_ns = FIRST_WAIT_NS
            until_ns = now_ns + wait_ns if retry_after_ns is None else named_ns
        else:
            narrowings = self.narrowings
            wait_ns = min(2 * self.wait_ns, LONGEST_WAIT_NS)
            until_ns = max(now_ns + wait_ns, named_ns)
        return Caution(narrowings, False, now_ns, until_ns, wait_ns, counted=tuple(counted))

    def granted(self, now_ns: int, over_ns: int) -> Caution:
        """A permit was granted; while refusals last, it is the only one until it is over."""
        if self.is_settled or now_ns < self.asked_ns:
            return self
        return replace(self, probe_until_ns=over_ns)

    def answered(self, granted_ns: int) -> Caution:
        """A request was not refused."""
        if self.is_settled or granted_ns < self.asked_ns:
            return self
        return replace(self, is_settled=True, probe_until_ns=0)

    def given_up(self, granted_ns: int, again_ns: int) -> Caution:
        """A request taught nothing: where it was the probe, another one is needed, not before `again_ns`."""
        if self.is_settled or granted_ns < self.asked_ns:
            return self
        return replace(self, until_ns=max(self.until_ns, again_ns), probe_until_ns=0)

    def free_at(self, now_ns: int) -> int:
        """When a request may be sent, windows apart, if nothing else happens."""
        return now_ns if self.is_settled else max(now_ns, self.until_ns, self.probe_until_ns)

    def began_ns(self) -> int | None:
        """Since when every request has been refused; None: they are not."""
        return None if self.is_settled else self.narrowings[-1].at_ns

    def moved(self, by_ns: int) -> Caution:
        """The same on another clock."""
        return replace(
            self,
            narrowings=tuple(replace(n, at_ns=n.at_ns + by_ns) for n in self.narrowings),
            asked_ns=self.asked_ns + by_ns,
            until_ns=self.until_ns + by_ns,
            probe_until_ns=self.probe_until_ns + by_ns if self.probe_until_ns else 0,
        )

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Caution:
        fields = json.loads(text)
        narrowings = (Narrowing(n["at_ns"], tuple(n["spans_ns"])) for n in fields.pop("narrowings"))
        counted = (Counted(c["count"], Window(**c["window"])) for c in fields.pop("counted"))
        return Caution(narrowings=tuple(narrowings), counted=tuple(counted), **fields)

    def narrowed(self, windows: Sequence[Window], now_ns: int) -> tuple[Window, ...]:
        """The windows as far as they are trusted now."""
        return tuple(
            Window(max(1, w.limit * self._permille(w.span_ns, now_ns) // WHOLE), w.span_ns)
            for w in windows
        )

    def widens_at(self, windows: Sequence[Window], now_ns: int) -> int | None:
        """When some window is next trusted with more; None: all are trusted wholly."""
        narrow = [w.span_ns for w in windows if self._permille(w.span_ns, now_ns) < WHOLE]
        return min((self._next_span(span_ns, now_ns) for span_ns in narrow), default=None)

    def _permille(self, span_ns: int, now_ns: int) -> int:
        trusted = WHOLE
        for narrowed_ns, next_ns in pairwise((*self._narrowed_ns(span_ns), now_ns)):
            trusted = max(_LEAST, trusted * _KEPT // WHOLE)
            trusted = min(WHOLE, trusted + _REGAINED * ((next_ns - narrowed_ns) // span_ns))
        return trusted

    def _next_span(self, span_ns: int, now_ns: int) -> int:
        last_ns = self._narrowed_ns(span_ns)[-1]
        return last_ns + ((now_ns - last_ns) // span_ns + 1) * span_ns

    def _narrowed_ns(self, span_ns: int) -> list[int]:
        return [n.at_ns for n in self.narrowings if span_ns in n.spans_ns]


def _suspects(counted: Sequence[Counted]) -> tuple[int, ...]:
    """Spans of the windows that others need not have filled most of; where there is none, all are."""
    likely = [c.window.span_ns for c in counted if 2 * c.count >= c.window.limit]
    return tuple(likely or (c.window.span_ns for c in counted))
