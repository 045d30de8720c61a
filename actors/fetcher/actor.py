from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError

from actors.fetcher.desk import Desk
from actors.fetcher.outcome import (
    Answered,
    Delivered,
    Halted,
    Outcome,
    Throttled,
    TooLong,
    TryAgain,
    Undelivered,
    Unsent,
    Word,
)
from actors.fetcher.receipt import failed, fetched, of_the_day
from actors.fetcher.verdict import Freeze, Halt, Keep, Retry, RetryRules, Split, judge, settled
from actors.limiter.clock import read
from actors.limiter.terms import Fate, Permit, Settlement, Terms, is_stale
from actors.market.candles import Delivery
from actors.market.chunk import Chunk
from actors.market.clock import MACHINE, Clock
from actors.market.memory import MemorySample, sample
from actors.market.sessions import ist_date
from actors.monitor.progress import Tally
from actors.upstox.client import UpstoxClient
from actors.upstox.limits import Family
from actors.upstox.reply import Answer, Refused
from actors.upstox.token import TokenSource

#: A permit may take a whole half-hour window to come free, and the fleet may be paused besides.
PERMIT_WITHIN_S = 3_600.0

SETTLE_WITHIN_S = 10.0

#: How long a fetched answer is held for a writer that is full, busy or restarting.
DELIVER_WITHIN_S = 120.0
RETRY_DELIVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class FetcherSettings:
    base_url: str
    token: TokenSource
    terms: Mapping[Family, Terms]  # of the permits its requests need
    run_id: str
    retry: RetryRules
    forming: bool = False  # whether bars of the running day that are not over are kept
    clock: Clock = MACHINE


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Names of the actors a fetcher speaks to. Not handles: a restarted fetcher must find them again.

    It is there before the writer and the monitor, which are looked for when they are needed.
    """

    limiter: str
    writer: str
    monitor: str


class Fetcher:
    """Makes single attempts at chunks: permit, request, verdict, delivery. Never sleeps to retry."""

    def __init__(self, name: str, settings: FetcherSettings, neighbours: Neighbours) -> None:
        self._name = name
        self._settings = settings
        self._neighbours = neighbours
        self._limiter: Any = ray.get_actor(neighbours.limiter)
        self._desk = Desk(self._acquire, self._settle, PERMIT_WITHIN_S)
        self._tallies: deque[Tally] = deque()
        self._client = UpstoxClient(
            settings.base_url,
            token=settings.token,
            timeout_s=max(terms.timeout_s for terms in settings.terms.values()),
        )

    @cached_property
    def _writer(self) -> Any:
        return ray.get_actor(self._neighbours.writer)

    @cached_property
    def _monitor(self) -> Any:
        return ray.get_actor(self._neighbours.monitor)

    @ray.method(concurrency_group="fetch")
    def fetch(self, chunk: Chunk, attempt: int) -> Outcome:
        """Make one attempt (counted from 1) at `chunk`: at most one request is sent.

        Raises UsageError where the ledger, or this node's token, does not let it be sent.
        """
        reply = self._attempt(chunk, self._desk.permit)
        return reply if isinstance(reply, Unsent) else self._act(chunk, attempt, reply)

    @ray.method(concurrency_group="probe")
    def probe(self, chunk: Chunk) -> Word:
        """See whether the provider answers, though the run is paused: one request; nothing is kept."""
        reply = self._attempt(chunk, self._permit_aside)
        if isinstance(reply, Unsent):
            return reply
        match judge(reply, 1, self._settings.retry, 1.0):
            case Retry(wait_s=wait_s) if isinstance(reply, Refused):
                return TryAgain(wait_s, reply)
            case Freeze() if isinstance(reply, Refused):
                return Throttled(reply.message)
            case Halt() if isinstance(reply, Refused):
                return Halted(reply.message, reply.http_status, reply.error_code)
        return Answered()

    def _attempt(
        self, chunk: Chunk, permit_for: Callable[[Terms], Permit | None]
    ) -> Answer | Refused | Unsent:
        family = self._family(chunk)
        terms = self._settings.terms[family]
        # A node reads its own; what it sends would be counted against the driver's account.
        self._settings.token.refuse_others(terms.account)
        try:
            permit = permit_for(terms)
        except RayActorError as error:
            return Unsent(f"the limiter is away: {type(error).__name__}")
        except TimeoutError:  # GetTimeoutError is one
            return Unsent(f"no permit in {PERMIT_WITHIN_S:g} s")
        if permit is None:
            return Unsent("called back: the run is stopping, or this fetcher moves")
        if is_stale(permit, read()) or self._family(chunk) is not family:
            self._desk.settle(Settlement(terms, permit.number, Fate.UNSENT))
            return Unsent(
                "the permit is stale: this computer slept or was stopped, or the day is over"
            )
        reply = self._request(chunk, family, permit)
        rows = reply.bars.num_rows if isinstance(reply, Answer) else 0
        trouble = reply.cause if isinstance(reply, Refused) else None
        self._tallies.append(Tally(self._name, rows, reply.body_bytes, trouble))
        return reply

    @ray.method(concurrency_group="fetch")
    def write_off(self, chunk: Chunk, refused: Refused, attempts: int) -> Outcome:
        """Make a dead letter of a chunk that has cost `attempts` requests; no other is sent."""
        now = self._settings.clock.now()
        return self._deliver(failed(chunk, refused, attempts, self._settings.run_id, now))

    @ray.method(concurrency_group="health")
    def memory(self) -> MemorySample:
        """Asked by the monitor every second; what was counted since goes along."""
        tallies = [self._tallies.popleft() for _ in range(len(self._tallies))]
        if tallies:
            self._monitor.count.remote(tallies)
        return sample()

    @ray.method(concurrency_group="health")
    def node(self) -> str:
        """Where it is. Asked once it is to answer again: it may have been restarted elsewhere."""
        node: str = ray.get_runtime_context().get_node_id()
        return node

    def _permit_aside(self, terms: Terms) -> Permit | None:
        permits = self._acquire(terms, 1, probes_of(self._settings.run_id))
        return permits[0] if permits else None

    def _acquire(self, terms: Terms, count: int, run_id: str | None = None) -> list[Permit]:
        run_id = run_id or self._settings.run_id
        asked = self._limiter.acquire.remote(terms, run_id, self._name, count)
        try:
            permits: list[Permit] = ray.get(asked, timeout=PERMIT_WITHIN_S)
        except GetTimeoutError:
            ray.cancel(asked)
            raise
        return permits

    def _settle(self, settlements: Sequence[Settlement]) -> None:
        """A limiter that does not hear of it counts the permits until their requests are surely over."""
        with suppress(RayActorError, GetTimeoutError):
            ray.get(self._limiter.settle.remote(settlements), timeout=SETTLE_WITHIN_S)

    def _family(self, chunk: Chunk) -> Family:
        """Whom to ask: a day that is running is not in the provider's history yet."""
        is_over = chunk.last < ist_date(self._settings.clock.now())
        return Family.HISTORICAL if is_over else Family.INTRADAY

    def _request(self, chunk: Chunk, family: Family, permit: Permit) -> Answer | Refused:
        """Send it, and tell the limiter when it is over; later than it is, is only safer."""
        terms = self._settings.terms[family]
        # What was sent before a deadline, before its connection broke, or before something broke here,
        # may still be on its way.
        settlement = Settlement(terms, permit.number, Fate.GIVEN_UP)
        try:
            reply = self._ask(chunk, family)
            settlement = settled(terms, permit.number, reply)
            return reply
        finally:
            self._desk.settle(settlement)

    def _ask(self, chunk: Chunk, family: Family) -> Answer | Refused:
        key, timeframe = chunk.instrument_key, chunk.timeframe
        if family is Family.HISTORICAL:
            return self._client.historical(key, timeframe, chunk.first, chunk.last)
        reply = self._client.intraday(key, timeframe)
        if isinstance(reply, Refused):
            return reply
        now = self._settings.clock.now()
        return of_the_day(chunk, reply, now, forming=self._settings.forming)

    def _act(self, chunk: Chunk, attempt: int, reply: Answer | Refused) -> Outcome:
        now = self._settings.clock.now()
        # The jitter need not be unguessable.
        match judge(reply, attempt, self._settings.retry, random.random()):  # noqa: S311
            case Keep(answer=answer):
                return self._deliver(fetched(chunk, answer, attempt, self._settings.run_id, now))
            case Retry(wait_s=wait_s) if isinstance(reply, Refused):
                return TryAgain(wait_s, reply)
            case Freeze() if isinstance(reply, Refused):
                return Throttled(reply.message)
            case Split() if chunk.halves() is not None:
                return TooLong()
            case Halt() if isinstance(reply, Refused):
                return Halted(reply.message, reply.http_status, reply.error_code)
            case _:
                assert isinstance(reply, Refused)
                return self._deliver(failed(chunk, reply, attempt, self._settings.run_id, now))

    def _deliver(self, delivery: Delivery) -> Outcome:
        """Hand over to the writer. An answer was paid for: it is held while the writer is away."""
        until_s = time.monotonic() + DELIVER_WITHIN_S
        parcel = ray.put(delivery)
        reason = "the writer has no room"
        while time.monotonic() < until_s:
            try:
                writer = ray.get(self._writer.keep.remote(parcel), timeout=DELIVER_WITHIN_S)
                if writer is not None:
                    return Delivered(writer, delivery.receipt.status, delivery.receipt.rows)
            except (RayActorError, GetTimeoutError) as error:
                reason = f"the writer is away: {type(error).__name__}"
                time.sleep(RETRY_DELIVERY_S)
        return Undelivered(reason)


def probes_of(run_id: str) -> str:
    """By this name a run's probes are known to the limiter: they go on while the run is paused."""
    return f"{run_id}-probe"
