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
from enum import Enum, auto

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
    empty_at_ns: int | None  # when the last of them does

    @property
    def counted(self) -> int:
        return self.in_flight + self.recent

    @property
    def left(self) -> int:
        """Permits that could be granted at once."""
        return max(0, self.window.limit - self.counted)


class Stage(Enum):
    """What is known of a permit's request."""

    OPEN = auto()  # somebody waits for it
    GIVEN_UP = auto()  # nobody does, but it may still arrive
    OVER = auto()


class Spending:
    """Permits of one account that still count, and when one more may be granted.

    A permit whose end is never told is over when its lifetime is: no request lives longer. One that
    is ended later than that was alive after all, and counts from then. An operation compares
    O(log n) of the n permits that count, and moves those in flight.
    """

    def __init__(self, keep_ns: int) -> None:
        """What is over for longer than `keep_ns` is forgotten; no window asked about may hold longer."""
        self.keep_ns = keep_ns
        self._now_ns: int | None = None
        self._next_permit = 1
        #: (when it is over, permit), ascending: in flight are those that are over later than now.
        self._overs: list[tuple[int, int]] = []
        self._known: dict[int, tuple[int, Stage, int | None]] = {}  # over, stage, granted
        self._tidy_at = _TIDY_AT_LEAST

    def grant(self, now_ns: int, windows: Sequence[Window], lifetime_ns: int) -> int | None:
        """A permit to send one request, now; None while some window has no room."""
        now_ns = self._advance(now_ns)
        if self.free_at(now_ns, windows) > now_ns:
            return None
        permit = self._next_permit
        self.record(permit, now_ns + lifetime_ns, Stage.OPEN, now_ns)
        return permit

    def free_at(self, now_ns: int, windows: Sequence[Window]) -> int:
        """When a permit can be granted, now or later, if nothing else happens."""
        return self._free_at(now_ns, windows, over_by_ns=None)

    def free_at_best(self, now_ns: int, windows: Sequence[Window]) -> int:
        """No permit can be granted sooner, even if all that is under way ended this moment."""
        return self._free_at(now_ns, windows, over_by_ns=now_ns)

    def end(self, permit: int, now_ns: int) -> None:
        """The request is surely over: answered, or its connection closed before it was sent."""
        if not self.is_over(permit):
            self.record(permit, self._advance(now_ns), Stage.OVER)

    def give_up(self, permit: int, now_ns: int, on_its_way_ns: int) -> None:
        """Its connection is closed, but the request may still arrive, for `on_its_way_ns`.

        Never shortens a lifetime that is longer.
        """
        if not self.is_over(permit):
            over_ns = self._advance(now_ns) + on_its_way_ns
            known_ns, *_ = self._known.get(permit, (over_ns,))
            self.record(permit, max(over_ns, known_ns), Stage.GIVEN_UP)

    def is_over(self, permit: int) -> bool:
        """Whether its end was told before. Of one that counts no more, that is not known."""
        return permit in self._known and self._known[permit][1] is Stage.OVER

    def granted_ns(self, permit: int) -> int | None:
        """When it was granted, as far as that is known."""
        return self._known[permit][2] if permit in self._known else None

    def record(
        self, permit: int, over_ns: int, stage: Stage, granted_ns: int | None = None
    ) -> None:
        """Count a permit that was granted elsewhere or earlier, or correct when it is over."""
        if permit in self._known:
            known_ns, _, known_granted_ns = self._known[permit]
            granted_ns = known_granted_ns if granted_ns is None else granted_ns
            del self._overs[bisect_right(self._overs, (known_ns, permit)) - 1]
        insort(self._overs, (over_ns, permit))
        self._known[permit] = (over_ns, stage, granted_ns)
        self._next_permit = max(self._next_permit, permit + 1)

    def use(self, now_ns: int, windows: Sequence[Window]) -> tuple[WindowUse, ...]:
        """Each window as it stands."""
        now_ns = self._advance(now_ns)
        in_flight = len(self._overs) - self._after(now_ns)
        return tuple(self._window_use(window, now_ns, in_flight) for window in windows)

    def counting(self, now_ns: int, window: Window) -> list[int]:
        """The permits that count in a window now."""
        oldest = self._after(self._advance(now_ns) - hold_ns(window))
        return [permit for _, permit in self._overs[oldest:]]

    def overs(self, now_ns: int, latency_ns: int) -> tuple[int, ...]:
        """For every permit that counts, when it is over, from now: negative if it is already.

        What somebody waits for is taken to be answered within `latency_ns` from now.
        """
        now_ns = self._advance(now_ns)
        return tuple(
            min(over_ns - now_ns, latency_ns)
            if self._known[permit][1] is Stage.OPEN
            else over_ns - now_ns
            for over_ns, permit in self._overs
        )

    def _free_at(self, now_ns: int, windows: Sequence[Window], *, over_by_ns: int | None) -> int:
        free_ns = now_ns = self._advance(now_ns)
        for window in windows:
            if len(self._overs) >= window.limit:
                # There is room once the newest `limit` permits are one fewer.
                over_ns = self._overs[-window.limit][0]
                if over_by_ns is not None:
                    over_ns = min(over_ns, over_by_ns)
                free_ns = max(free_ns, over_ns + hold_ns(window))
        return free_ns

    def _window_use(self, window: Window, now_ns: int, in_flight: int) -> WindowUse:
        hold = hold_ns(window)
        oldest = self._after(now_ns - hold)
        counted = self._overs[oldest:]
        return WindowUse(
            window=window,
            in_flight=in_flight,
            recent=len(counted) - in_flight,
            frees_at_ns=counted[0][0] + hold if counted else None,
            empty_at_ns=counted[-1][0] + hold if counted else None,
        )

    def _after(self, moment_ns: int) -> int:
        """Place of the first permit that is over later than `moment_ns`."""
        return bisect_right(self._overs, (moment_ns, math.inf))

    def _advance(self, now_ns: int) -> int:
        """The present, which never runs backwards. Forgets what counts nowhere any more."""
        if self._now_ns is None or now_ns > self._now_ns:
            self._now_ns = now_ns
        if len(self._overs) >= self._tidy_at:
            gone = self._after(self._now_ns - self.keep_ns)
            for _, permit in self._overs[:gone]:
                del self._known[permit]
            del self._overs[:gone]
            self._tidy_at = max(_TIDY_AT_LEAST, 2 * len(self._overs))
        return self._now_ns
