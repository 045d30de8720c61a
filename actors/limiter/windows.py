"""Rule H: when one more request may be sent, and no window is ever overfull at the provider.

A request reaches the provider at some moment between its grant and its end; nobody knows which.
So a permit counts in a window from its grant until its request is over, and the window's span
longer. A permit is granted only while every window has room.

Proof: of any N + 1 arrivals within one span take the one granted last. At its grant each of the
other N was still under way, or over for less than the span, and so was counted: the window was
full, and the permit would have been refused.

Times are integer nanoseconds of one clock that never runs backwards and counts a computer's sleep.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass

from actors.market.window import Window

#: The provider's clock and ours may differ in rate by so much, and in grain by so much.
_CLOCK_RATE_PART = 10_000
_CLOCK_GRAIN_NS = 5_000_000

_TIDY_AT_LEAST = 128


def hold_ns(window: Window) -> int:
    """How long a request counts in the window after it is over: its span and a safety margin."""
    return window.span_ns + window.span_ns // _CLOCK_RATE_PART + _CLOCK_GRAIN_NS


@dataclass(frozen=True, slots=True)
class WindowUse:
    """One rate limit and what is spent of it at a moment."""

    window: Window
    in_flight: int  # permits whose requests are not surely over
    recent: int  # requests over for less than the span
    frees_at_ns: int | None  # when the next of them stops counting, if nothing else happens

    @property
    def left(self) -> int:
        """Permits that could be granted at once."""
        return max(0, self.window.limit - self.in_flight - self.recent)


class Spending:
    """Permits of one account that still count, and whether one more may be granted.

    A permit that is never ended is over `lifetime_ns` after its grant: no request lives longer. One
    that is ended later than that was alive after all, and counts from then. An operation compares
    O(log n) of the n permits that count, and moves those in flight.
    """

    def __init__(self, windows: Sequence[Window], lifetime_ns: int) -> None:
        if any(window.limit < 1 or window.span_ns < 1 for window in windows):
            raise ValueError("a window needs a limit and a span of at least 1")
        self.windows = tuple(windows)
        self.lifetime_ns = lifetime_ns
        self._holds_ns = tuple(hold_ns(window) for window in windows)
        self._now_ns: int | None = None
        self._next_permit = 1
        #: (when it is over, permit), ascending: in flight are those that are over later than now.
        self._overs: list[tuple[int, int]] = []
        self._over_ns: dict[int, int] = {}
        self._open: set[int] = set()  # permits whose end has not been told
        self._tidy_at = _TIDY_AT_LEAST

    def grant(self, now_ns: int) -> int | None:
        """A permit to send one request, now; None while some window has no room."""
        now_ns = self._advance(now_ns)
        if self.free_at(now_ns) > now_ns:
            return None
        permit = self._next_permit
        self.record(permit, now_ns + self.lifetime_ns, is_open=True)
        return permit

    def free_at(self, now_ns: int) -> int:
        """When a permit can be granted, now or later, if nothing else happens."""
        now_ns = self._advance(now_ns)
        return max(
            [
                now_ns,
                *(
                    self._overs[-window.limit][0] + hold
                    for window, hold in zip(self.windows, self._holds_ns, strict=True)
                    if len(self._overs) >= window.limit
                ),
            ]
        )

    def end(self, permit: int, now_ns: int) -> None:
        """The request is surely over: answered, or its connection closed before it was sent."""
        if not self.is_ended(permit):
            self.record(permit, self._advance(now_ns), is_open=False)

    def give_up(self, permit: int, now_ns: int) -> None:
        """Nobody waits for the request any more, but it may still arrive within its lifetime."""
        if not self.is_ended(permit):
            self.record(permit, self._advance(now_ns) + self.lifetime_ns, is_open=True)

    def is_ended(self, permit: int) -> bool:
        """Whether its end was told before. Of one that counts no more, that is not known."""
        return permit in self._over_ns and permit not in self._open

    def record(self, permit: int, over_ns: int, *, is_open: bool) -> None:
        """Count a permit that was granted elsewhere or earlier, or correct when it is over."""
        known_ns = self._over_ns.get(permit)
        if known_ns is not None:
            del self._overs[bisect_right(self._overs, (known_ns, permit)) - 1]
        insort(self._overs, (over_ns, permit))
        self._over_ns[permit] = over_ns
        if is_open:
            self._open.add(permit)
        else:
            self._open.discard(permit)
        self._next_permit = max(self._next_permit, permit + 1)

    def use(self, now_ns: int) -> tuple[WindowUse, ...]:
        """Each window as it stands."""
        now_ns = self._advance(now_ns)
        in_flight = len(self._overs) - self._after(now_ns)
        return tuple(
            self._window_use(window, hold, now_ns, in_flight)
            for window, hold in zip(self.windows, self._holds_ns, strict=True)
        )

    def overs(self, now_ns: int) -> tuple[int, ...]:
        """For every permit that counts, when it is over, from now: negative if it is already."""
        now_ns = self._advance(now_ns)
        return tuple(over_ns - now_ns for over_ns, _ in self._overs)

    def _window_use(self, window: Window, hold: int, now_ns: int, in_flight: int) -> WindowUse:
        oldest = self._after(now_ns - hold)
        counted = len(self._overs) - oldest
        frees_at_ns = self._overs[oldest][0] + hold if counted else None
        return WindowUse(window, in_flight, counted - in_flight, frees_at_ns)

    def _after(self, moment_ns: int) -> int:
        """Place of the first permit that is over later than `moment_ns`."""
        return bisect_right(self._overs, (moment_ns, math.inf))

    def _advance(self, now_ns: int) -> int:
        """The present, which never runs backwards. Forgets what counts nowhere any more."""
        if self._now_ns is None or now_ns > self._now_ns:
            self._now_ns = now_ns
        if len(self._overs) >= self._tidy_at:
            gone = self._after(self._now_ns - max(self._holds_ns, default=0))
            for _, permit in self._overs[:gone]:
                del self._over_ns[permit]
                self._open.discard(permit)
            del self._overs[:gone]
            self._tidy_at = max(_TIDY_AT_LEAST, 2 * len(self._overs))
        return self._now_ns
