from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from actors.limiter.budget import Budget, Later
from actors.limiter.clock import read
from actors.limiter.ledger import Ledger
from actors.limiter.queue import Queue
from actors.limiter.terms import Claim, Permit, Terms
from actors.limiter.use import BudgetUse, use_of
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


class Limiter:
    """Hands out the right to send single requests, so that no window of a budget is ever overfull.

    One for all runs on a cluster. Every permit must be returned by `end`, `withdraw`, `give_up` or
    `refuse`; one whose holder dies is counted until its request is surely over. Raises UsageError where
    the ledger of what was spent is unusable. Its methods must share one event loop: concurrency groups
    would give each its own.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._name = secrets.token_hex(8)  # tells this process from others on the same ledger
        self._ledger: Ledger | None = None
        self._counters: dict[str, _Counter] = {}
        self._paused: set[str] = set()  # runs
        self._stopped: set[str] = set()

    async def acquire(self, terms: Terms, run_id: str, holder: str) -> Permit | None:
        """A permit to send one request, once there is room; None if the run is to send no more.

        First come, first served within a run. Waits as long as it takes. `holder` names the fetcher.
        """
        if run_id in self._stopped:
            return None
        counter = self._counter(terms)
        ticket: Ticket = asyncio.get_running_loop().create_future()
        place = counter.queue.join(run_id, holder, terms, ticket)
        self._serve(counter)
        try:
            return await ticket
        finally:
            counter.queue.drop(place)  # a caller that gave up must not be served

    async def end(self, terms: Terms, permit: int) -> None:
        """The permit's request was answered, with anything but a 429."""
        counter = self._counter(terms)
        counter.budget.balance.end(permit, read())
        self._serve(counter)

    async def withdraw(self, terms: Terms, permit: int) -> None:
        """No request was sent with the permit."""
        counter = self._counter(terms)
        counter.budget.balance.withdraw(permit, read())
        self._serve(counter)

    async def give_up(self, terms: Terms, permit: int) -> None:
        """Nobody waits for the permit's request any more, but it may still arrive."""
        counter = self._counter(terms)
        counter.budget.balance.give_up(permit, read())
        self._serve(counter)

    async def refuse(self, terms: Terms, permit: int, retry_after_s: float | None) -> None:
        """The provider has refused the permit's request (429): everybody waits."""
        counter = self._counter(terms)
        counter.budget.balance.refuse(permit, read(), terms, retry_after_s)
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
            _dismiss(counter.queue.leave(run_id))

    async def abandon(self, run_id: str, holder: str) -> None:
        """The fetcher has died: what it waits for would be granted to nobody, and count for long."""
        for counter in self._counters.values():
            _dismiss(counter.queue.leave(run_id, holder))

    async def use(self, terms: Terms, run_id: str, pending: int) -> BudgetUse:
        """The budget now, with what everybody has spent of it. `pending`: what the run has still to send."""
        counter, now = self._counter(terms), read()
        counter.budget.announce(now, Claim(run_id, terms), pending)
        self._serve(counter)  # an alarm does not count a computer's sleep
        return use_of(counter.budget, now, terms, run_id, counter.queue.waiting(run_id))

    async def memory(self) -> MemorySample:
        return sample()

    def _counter(self, terms: Terms) -> _Counter:
        self._ledger = self._ledger or Ledger(self._folder)
        name = self._ledger.name_of(terms)
        counter = self._counters.get(name)
        if counter is None:
            budget = Budget(self._ledger, name, self._name, read())
            counter = self._counters[name] = _Counter(budget, Queue())
        return counter

    def _serve(self, counter: _Counter) -> None:
        """Grant while there is room; then sleep exactly until there can be room again."""
        if counter.alarm is not None:
            counter.alarm.cancel()
            counter.alarm = None
        while heads := counter.queue.heads(self._paused):
            if gone := [place for place in heads if place.ticket.done()]:
                for place in gone:  # its caller gave up this very moment
                    counter.queue.drop(place)
                continue
            now = read()
            try:
                answer = counter.budget.grant(now, [place.claim for place in heads])
            except UsageError as error:  # the ledger: nobody can be granted anything
                _dismiss(counter.queue.clear(), error)
                return
            if isinstance(answer, Later):
                wait_s = (answer.at_ns - now.boot_ns) / NS_PER_S
                loop = asyncio.get_running_loop()
                counter.alarm = loop.call_later(wait_s, self._serve, counter)
                return
            (place,) = (place for place in heads if place.run_id == answer.run_id)
            counter.queue.drop(place)
            place.ticket.set_result(Permit(answer.permit, now))


def _dismiss(tickets: Iterable[Ticket], error: UsageError | None = None) -> None:
    """No permit for these callers, some of whom may be gone already."""
    for ticket in tickets:
        if not ticket.done():
            ticket.set_exception(error) if error else ticket.set_result(None)
