from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from actors.fetcher.desk import Desk
from actors.limiter.clock import read
from actors.limiter.terms import Fate, Permit, Settlement, Terms

TERMS = Terms("host", (), 30.0)
WITHIN_S = 20.0


class Limiter:
    """Counts calls, and lets the first of each kind wait until the test says so."""

    def __init__(self, *, most: int = 100) -> None:
        self.gate = threading.Event()
        self.asked: list[int] = []
        self.settled: list[int] = []
        self.is_asked = threading.Event()
        self._most = most
        self._numbers = iter(range(1, 10_000))

    def ask(self, terms: Terms, count: int) -> list[Permit]:
        self.asked.append(count)
        self.is_asked.set()
        assert self.gate.wait(WITHIN_S)
        return [Permit(next(self._numbers), read()) for _ in range(min(count, self._most))]

    def tell(self, settlements: Sequence[Settlement]) -> None:
        self.settled.append(len(settlements))
        assert self.gate.wait(WITHIN_S)


def gathered(limiter: Limiter, desk: Desk, threads: int) -> list[Permit | None]:
    """So many threads at once, all of them waiting before the first call is answered."""
    with ThreadPoolExecutor(threads) as pool:
        first = pool.submit(desk.permit, TERMS)
        assert limiter.is_asked.wait(WITHIN_S)
        others = [pool.submit(desk.permit, TERMS) for _ in range(threads - 1)]
        while len(desk._lines[TERMS]) < threads:
            assert not first.done()
        limiter.gate.set()
        return [future.result(WITHIN_S) for future in [first, *others]]


def test_while_one_call_is_under_way_the_others_gather_in_the_next() -> None:
    limiter = Limiter()
    permits = gathered(limiter, Desk(limiter.ask, limiter.tell, WITHIN_S), 8)
    assert len({permit.number for permit in permits if permit is not None}) == 8
    assert limiter.asked == [1, 7]


def test_who_gets_none_yet_asks_again_and_everybody_is_served_once() -> None:
    limiter = Limiter(most=3)
    permits = gathered(limiter, Desk(limiter.ask, limiter.tell, WITHIN_S), 8)
    assert len({permit.number for permit in permits if permit is not None}) == 8
    assert limiter.asked == [1, 7, 4, 1]


def test_no_more_permits_is_told_to_all_that_wait() -> None:
    limiter = Limiter(most=0)
    assert gathered(limiter, Desk(limiter.ask, limiter.tell, WITHIN_S), 4) == [None] * 4


def test_what_breaks_a_call_reaches_each_thread_it_was_for_and_no_other() -> None:
    calls = iter([ConnectionError("the limiter is away"), None])

    def ask(terms: Terms, count: int) -> list[Permit]:
        trouble = next(calls)
        if trouble is not None:
            raise trouble
        return [Permit(7, read())]

    desk = Desk(ask, lambda _: None, WITHIN_S)
    with pytest.raises(ConnectionError):
        desk.permit(TERMS)
    permit = desk.permit(TERMS)
    assert permit is not None
    assert permit.number == 7


def test_a_thread_that_waits_too_long_leaves_the_line_to_the_others() -> None:
    limiter = Limiter()
    desk = Desk(limiter.ask, limiter.tell, within_s=0.05)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(desk.permit, TERMS)
        assert limiter.is_asked.wait(WITHIN_S)
        with pytest.raises(TimeoutError):
            pool.submit(desk.permit, TERMS).result(WITHIN_S)
        limiter.gate.set()
        assert first.result(WITHIN_S) is not None
    assert desk.permit(TERMS) is not None
    assert limiter.asked == [1, 1]


def test_settlements_gather_too_and_none_is_lost() -> None:
    limiter = Limiter()
    desk = Desk(limiter.ask, limiter.tell, WITHIN_S)
    with ThreadPoolExecutor(1) as pool:
        telling = pool.submit(desk.settle, Settlement(TERMS, 1, Fate.ANSWERED))
        while not limiter.settled:
            assert not telling.done()
        for number in range(2, 7):
            desk.settle(Settlement(TERMS, number, Fate.ANSWERED))
        limiter.gate.set()
        telling.result(WITHIN_S)
    assert limiter.settled == [1, 5]
    desk.settle(Settlement(TERMS, 7, Fate.ANSWERED))
    assert limiter.settled == [1, 5, 1]
