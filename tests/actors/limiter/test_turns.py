from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from actors.limiter.turns import PARTS, Priority, Turn, clock_of

priorities = st.sampled_from(list(Priority))


class Service:
    """Runs that come and go, and a permit at a time for one that waits."""

    def __init__(self, *priorities: Priority) -> None:
        self.turns = [Turn(priority) for priority in priorities]
        self.waiting: set[int] = set()

    def waits(self, present: set[int]) -> None:
        """From now on these, and only these."""
        for run in sorted(present - self.waiting):
            clock = clock_of([self.turns[i] for i in self.waiting & present], self.turns)
            self.turns[run] = self.turns[run].joined(clock)
        self.waiting = present

    def serve(self, permits: int) -> Counter[int]:
        served: Counter[int] = Counter()
        for _ in range(permits):
            who = min(self.waiting, key=lambda run: self.turns[run].served)
            self.turns[who] = self.turns[who].after()
            served[who] += 1
        return served


@given(
    st.lists(priorities, min_size=1, max_size=5),
    st.lists(st.sets(st.integers(0, 4)), min_size=1, max_size=12),
)
def test_runs_that_wait_all_the_while_share_by_their_parts(
    priorities: list[Priority], interludes: list[set[int]]
) -> None:
    """Whatever was before: from any moment on, nobody strays by more than a permit's worth of each."""
    service = Service(*priorities)
    for present in interludes:
        service.waits({run for run in present if run < len(priorities)})
        if service.waiting:
            service.serve(7)
    everybody = set(range(len(priorities)))
    service.waits(everybody)
    served = service.serve(700)
    rates = [served[run] / PARTS[priorities[run]] for run in everybody]
    slack = 2 * max(1 / PARTS[priority] for priority in priorities)
    assert max(rates) - min(rates) <= slack


def test_the_least_priority_is_never_starved() -> None:
    service = Service(Priority.INTERACTIVE, Priority.BACKFILL)
    service.waits({0, 1})
    assert service.serve(1_700) == {0: 1_600, 1: 100}


def test_who_did_not_wait_is_not_owed_it_later() -> None:
    service = Service(Priority.UPDATE, Priority.UPDATE)
    service.waits({0})
    service.serve(1_000)
    service.waits({0, 1})
    served = service.serve(100)
    assert abs(served[0] - served[1]) <= 2
