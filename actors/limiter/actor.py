from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from actors.limiter.budget import Budget, Later
from actors.limiter.clock import read
from actors.limiter.ledger import Ledger
from actors.limiter.queue import Queue
from actors.limiter.terms import Claim, Fate, Permit, Settlement, Terms
from actors.limiter.use import BudgetUse, use_of
from actors.market.errors import UsageError
from actors.market.memory import MemorySample, sample
from actors.market.window import NS_PER_S

#: Of the limiter's methods: what they take, give and mean. One limiter serves all runs of a cluster, of
#: whichever version of us they are. To be raised with any change to them, or to what they exchange.
PROTOCOL = 1

Ticket = asyncio.Future[list[Permit]]


@dataclass(slots=True)
class _Counter:
    """Where one budget's permits are handed out."""

    budget: Budget
    queue: Queue[Order]
    alarm: asyncio.TimerHandle | None = None


class Limiter:
    """Hands out the right to send single requests, so that no window of a budget is ever overfull.

    One for all runs on a cluster. Every permit must be returned by `settle`; one whose holder
    dies is counted until its request is surely over. Raises UsageError where the ledger of what was spent
    is unusable. Its methods must share one event loop: concurrency groups would give each its own.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._name = secrets.token_hex(8)  # tells this process from others on the same ledger
        self._ledger: Ledger | None = None
        self._counters: dict[str, _Counter] = {}
        self._paused: set[str] = set()  # runs
        self._stopped: set[str] = set()

    async def acquire(self, terms: Terms, run_id: str, holder: str, count: int = 1) -> list[Permit]:
        """Permits to send one request each, once there is room for one: as many as there is, up to `count`.

        None at all if the run is to send no more. First come, first served within a run. Waits as long as
        it takes. `holder` names the fetcher.
        """
        if run_id in self._stopped:
            return []
        counter = self._counter(terms)
        ticket: Ticket = asyncio.get_running_loop().create_future()
        place = counter.queue.join(run_id, holder, terms, Order(ticket, count))
        self._serve(counter)
        try:
            return await ticket
        finally:
            counter.queue.drop(place)  # a caller that gave up must not be served

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """Take permits back."""
        for one in settlements:
            balance, now = self._counter(one.terms).budget.balance, read()
            match one.fate:
                case Fate.ANSWERED:
                    balance.end(one.permit, now)
                case Fate.REFUSED:
                    balance.refuse(one.permit, now, one.terms, one.retry_after_s)
                case Fate.GIVEN_UP:
                    balance.give_up(one.permit, now)
                case Fate.UNSENT:
                    balance.withdraw(one.permit, now)
        for terms in {one.terms for one in settlements}:
            self._serve(self._counter(terms))

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
        begun: dict[int, Order] = {}  # those that have some of their permits
        try:
            try:
                self._grant(counter, begun)
            finally:
                for order in begun.values():
                    order.hand_over()
        except UsageError as error:  # the ledger: nobody can be granted anything more
            _dismiss(counter.queue.clear(), error)

    def _grant(self, counter: _Counter, begun: dict[int, Order]) -> None:
        while heads := counter.queue.heads(self._paused):
            if gone := [place for place in heads if place.ticket.is_done]:
                for place in gone:
                    counter.queue.drop(place)
                continue
            now = read()
            answer = counter.budget.grant(now, [place.claim for place in heads])
            if isinstance(answer, Later):
                wait_s = (answer.at_ns - now.boot_ns) / NS_PER_S
                loop = asyncio.get_running_loop()
                counter.alarm = loop.call_later(wait_s, self._serve, counter)
                break
            (place,) = (place for place in heads if place.run_id == answer.run_id)
            begun[place.number] = place.ticket
            place.ticket.take(Permit(answer.permit, now))


class Order:
    """A caller's wish for some permits."""

    def __init__(self, ticket: Ticket, count: int) -> None:
        self._ticket = ticket
        self._count = count
        self._permits: list[Permit] = []

    @property
    def is_done(self) -> bool:
        """It has all it wants, or its caller has gone this very moment."""
        return self._ticket.done() or len(self._permits) >= self._count

    def take(self, permit: Permit) -> None:
        self._permits.append(permit)

    def hand_over(self) -> None:
        self._ticket.set_result(self._permits)

    def dismiss(self, error: UsageError | None) -> None:
        if self._ticket.done():
            return
        if error is not None and not self._permits:
            self._ticket.set_exception(error)
        else:
            self._ticket.set_result(self._permits)


def _dismiss(orders: Iterable[Order], error: UsageError | None = None) -> None:
    """No more permits for these callers."""
    for order in orders:
        order.dismiss(error)
