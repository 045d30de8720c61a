"""How long a number of requests will take, by playing them through the rule itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from actors.limiter.turns import Priority, Turn
from actors.limiter.windows import Spending, Stage, hold_ns
from actors.market.window import NS_PER_S, Window

#: Spans of the slowest window that are played before the rest is taken for more of the same.
_PLAYED_ROUNDS = 4


@dataclass(frozen=True, slots=True)
class Contender:
    """A run that wants permits of the same budget."""

    priority: Priority
    pending: int  # requests it has still to send


@dataclass(frozen=True, slots=True)
class Course:
    """What requests meet. Durations are in ns, from now; all defaults: nothing in their way."""

    spent_ns: tuple[int, ...] = ()  # for every permit that counts, when it is over: `Balance.overs`
    not_before_ns: int = 0
    latency_ns: int = 0
    lanes: int | None = None  # requests under way at once at the most
    priority: Priority = Priority.INTERACTIVE
    rivals: tuple[Contender, ...] = ()


def seconds_expected(requests: int, windows: Sequence[Window], course: Course) -> float:
    """Seconds until the last is answered.

    Of many requests only some are played: what the slowest window allows repeats itself with each of
    its spans, and the rest is as many repetitions.
    """
    slowest = min(windows, key=lambda w: w.limit / w.span_ns, default=None)
    if slowest is None or course.rivals or requests <= _PLAYED_ROUNDS * slowest.limit:
        return _play(requests, windows, course)[-1] / NS_PER_S if requests else 0.0
    rounds, rest = divmod(requests, slowest.limit)
    played = _play((_PLAYED_ROUNDS - 1) * slowest.limit + rest, windows, course)
    round_ns = played[-1] - played[-1 - slowest.limit]
    return (played[-1] + (rounds - _PLAYED_ROUNDS + 1) * round_ns) / NS_PER_S


def _play(requests: int, windows: Sequence[Window], course: Course) -> list[int]:
    """When each is answered, in ns from now."""
    spending = Spending(max(map(hold_ns, windows), default=0) + course.latency_ns)
    for permit, over_ns in enumerate(course.spent_ns, start=1):
        spending.record(permit, over_ns, Stage.OVER)
    turns = _Turns(Contender(course.priority, requests), course.rivals)
    lanes: list[int] = []  # when each comes free, a heap
    answered: list[int] = []
    now_ns = course.not_before_ns
    while turns.ours_pending:
        is_ours = turns.next_is_ours()
        if is_ours and course.lanes is not None and len(lanes) == course.lanes:
            now_ns = max(now_ns, heappop(lanes))
        now_ns = spending.free_at(now_ns, windows)
        # The latency is the permits' lifetime, so each ends by itself in time.
        spending.grant(now_ns, windows, course.latency_ns)
        turns.take()
        if is_ours:
            answered.append(now_ns + course.latency_ns)
            heappush(lanes, answered[-1])
    return answered


def seconds_at_least(
    requests: int, windows: Sequence[Window], spent_ns: tuple[int, ...] = ()
) -> float:
    """Seconds until the last of `requests` may be sent, were each answered at once."""
    return seconds_expected(requests, windows, Course(spent_ns=spent_ns))


class _Turns:
    """Whose permit is next, played forward: fair queueing among runs that all wait."""

    def __init__(self, ours: Contender, rivals: Sequence[Contender]) -> None:
        self._pending = [ours.pending, *(rival.pending for rival in rivals)]
        self._turns = [Turn(ours.priority), *(Turn(rival.priority) for rival in rivals)]

    @property
    def ours_pending(self) -> int:
        return self._pending[0]

    def next_is_ours(self) -> bool:
        return self._next() == 0

    def take(self) -> None:
        who = self._next()
        self._pending[who] -= 1
        self._turns[who] = self._turns[who].after()

    def _next(self) -> int:
        waiting = (i for i, pending in enumerate(self._pending) if pending > 0)
        return min(waiting, key=lambda i: self._turns[i].served)
