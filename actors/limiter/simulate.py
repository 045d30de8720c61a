"""How long a number of requests will take, by playing them through the rule itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from actors.limiter.turns import Priority, Turn
from actors.limiter.windows import Spending, Stage, hold_ns
from actors.market.window import NS_PER_S, Window


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
    """Seconds until the last is answered."""
    spending = Spending(max(map(hold_ns, windows), default=0) + course.latency_ns)
    for permit, over_ns in enumerate(course.spent_ns, start=1):
        spending.record(permit, over_ns, Stage.OVER)
    turns = _Turns(Contender(course.priority, requests), course.rivals)
    answers: list[int] = []  # when the lanes come free, a heap
    now_ns, end_ns = course.not_before_ns, 0
    while turns.ours_pending:
        if turns.next_is_ours():
            if course.lanes is not None and len(answers) == course.lanes:
                now_ns = max(now_ns, heappop(answers))
            # The latency is the permits' lifetime, so each ends by itself in time.
            now_ns = spending.free_at(now_ns, windows)
            end_ns = now_ns + course.latency_ns
            heappush(answers, end_ns)
        else:
            now_ns = spending.free_at(now_ns, windows)
        spending.grant(now_ns, windows, course.latency_ns)
        turns.take()
    return end_ns / NS_PER_S


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
