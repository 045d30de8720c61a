from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from actors.limiter.budget import Budget
from actors.limiter.clock import read
from actors.limiter.ledger import Ledger
from actors.limiter.queue import Place, Queue
from actors.limiter.terms import Permit, Terms
from actors.limiter.windows import WindowUse
from actors.market.errors import UsageError
from actors.market.memory import MemorySample, sample
from actors.market.window import NS_PER_S

Ticket = asyncio.Future[Permit | None]


@dataclass(slots=True)
class _Counter:
    """Where one budget's permits are handed out."""

    budget: Budget
    queue: Queue[Ticket]
    alarm: asyncio.TimerHandle | None = None


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """A budget at one moment."""

    windows: tuple[WindowUse, ...]
    overs_ns: tuple[int, ...]  # `Spending.overs`, to predict from
    waiting: int  # callers of `acquire` that have no permit yet


class Limiter:
    """Hands out the right to send single requests, so that no window of a budget is ever overfull.

    One for all runs on a cluster; where runs come with different windows, all of them hold for all.
    Every permit must be returned by `end` or `give_up`; one whose holder dies is counted until its
    request is surely over. Raises UsageError where the ledger of what was spent is unusable.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._ledger: Ledger | None = None
        self._counters: dict[str, _Counter] = {}
        self._paused: set[str] = set()  # runs
        self._stopped: set[str] = set()

    async def acquire(self, terms: Terms, run_id: str, holder: str) -> Permit | None:
        """A permit to send one request, once there is room; None if the run is to send no more.

        First come, first served. Waits as long as it takes. `holder` names the fetcher.
        """
        if run_id in self._stopped:
            return None
        counter = self._counter(terms)
        ticket: Ticket = asyncio.get_running_loop().create_future()
        place = Place(run_id, holder, ticket)
        counter.queue.join(place)
        self._serve(counter)
        try:
            return await ticket
        finally:
            counter.queue.drop(place)  # a caller that gave up must not be served

    async def end(self, terms: Terms, permit: int) -> None:
        """The permit's request is surely over."""
        counter = self._counter(terms)
        counter.budget.end(permit, read())
        self._serve(counter)

    async def give_up(self, terms: Terms, permit: int) -> None:
        """Nobody waits for the permit's request any more, but it may still arrive."""
        counter = self._counter(terms)
        counter.budget.give_up(permit, read())
        self._serve(counter)

    async def pause(self, run_id: str) -> None:
        """Let the run's callers wait; others go on."""
        self._paused.add(run_id)

    async def resume(self, run_id: str) -> None:
        self._paused.discard(run_id)
        for counter in self._counters.values():
            self._serve(counter)

    async def stop(self, run_id: str) -> None:
        """No more permits for the run: its callers get None, now and from now on."""
        self._stopped.add(run_id)
        for counter in self._counters.values():
            for ticket in counter.queue.leave(run_id):
                ticket.set_result(None)

    async def abandon(self, run_id: str, holder: str) -> None:
        """The fetcher has died: what it waits for would be granted to nobody, and count for long."""
        for counter in self._counters.values():
            for ticket in counter.queue.leave(run_id, holder):
                ticket.set_result(None)

    async def use(self, terms: Terms) -> BudgetUse:
        """The budget now, with what earlier runs have spent of it."""
        counter, now = self._counter(terms), read()
        return BudgetUse(
            windows=counter.budget.use(now),
            overs_ns=counter.budget.overs(now),
            waiting=len(counter.queue),
        )

    async def memory(self) -> MemorySample:
        return sample()

    def _counter(self, terms: Terms) -> _Counter:
        self._ledger = self._ledger or Ledger(self._folder)
        counter = self._counters.get(terms.budget)
        if counter is None:
            budget = Budget(self._ledger, terms.budget, terms.windows, terms.lifetime_ns, read())
            counter = self._counters[terms.budget] = _Counter(budget, Queue())
        elif not _covers(counter.budget, terms):
            windows = tuple(dict.fromkeys([*counter.budget.windows, *terms.windows]))
            lifetime_ns = max(counter.budget.lifetime_ns, terms.lifetime_ns)
            counter.budget = Budget(self._ledger, terms.budget, windows, lifetime_ns, read())
        return counter

    def _serve(self, counter: _Counter) -> None:
        """Grant while there is room; then sleep exactly until the next slot comes free by itself."""
        if counter.alarm is not None:
            counter.alarm.cancel()
            counter.alarm = None
        while (place := counter.queue.first(self._paused)) is not None:
            now = read()
            try:
                permit = counter.budget.grant(now, place.run_id)
            except UsageError as error:  # the ledger: nobody can be granted anything
                counter.queue.drop(place)
                place.ticket.set_exception(error)
                continue
            if permit is None:
                wait_ns = counter.budget.free_at(now) - now.boot_ns
                counter.alarm = asyncio.get_running_loop().call_later(
                    wait_ns / NS_PER_S, self._serve, counter
                )
                return
            counter.queue.drop(place)
            place.ticket.set_result(Permit(permit, now))


def _covers(budget: Budget, terms: Terms) -> bool:
    return set(terms.windows) <= set(budget.windows) and terms.lifetime_ns <= budget.lifetime_ns
