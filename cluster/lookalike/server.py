"""The exchange on HTTP: arrivals to the judge, faults and latency on the way, answers out."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic, monotonic_ns

from starlette.types import Receive, Scope, Send

from cluster.lookalike.answers import Answer, refusal
from cluster.lookalike.damage import damaged, false_answer
from cluster.lookalike.delivery import Wire
from cluster.lookalike.desk import Conditions, Desk
from cluster.lookalike.exchange import Exchange
from cluster.lookalike.faults import DAMAGES, Fault
from cluster.lookalike.judge import Arrival, Judge
from cluster.lookalike.market import Market
from cluster.lookalike.question import PREFIX
from cluster.lookalike.randomness import fingerprint, fraction
from cluster.lookalike.settings import Settings

_CANDLES = PREFIX.encode()
_MB = 1_000_000
_ENDLESS_BYTES = 3_000_000_000


@dataclass(frozen=True, slots=True)
class _Call:
    """One request for candles, and the judge that saw it arrive."""

    wire: Wire
    path: str  # percent-encoded
    arrival: Arrival
    judge: Judge

    async def send(self, answer: Answer) -> None:
        await self.wire.whole(answer)
        self.book(answer)

    def book(self, answer: Answer) -> None:
        body_bytes = len(answer.body)
        self.judge.answer(self.path, answer.status, body_bytes, candles=answer.candles)

    def book_broken(self) -> None:
        self.judge.answer(self.path, None, 0, candles=False)


class Server:
    """ASGI. Candle paths are split while still percent-encoded, so they go past the router."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._now = Conditions(settings)
        self._exchange = Exchange(
            Market(settings.seed, self._now.splits),
            cache_bytes=settings.cache_mb * _MB,
            intraday_last_day=settings.intraday_last_day,
            intraday_differs=settings.intraday_differs,
        )
        self._rest = Desk(self._now).application()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["raw_path"].startswith(_CANDLES):
            await self._candles(Wire(scope, receive, send))
        else:
            await self._rest(scope, receive, send)

    async def _candles(self, wire: Wire) -> None:
        path = wire.scope["raw_path"].decode("latin-1")
        judge = self._now.judge
        call = _Call(wire, path, judge.arrive(monotonic_ns(), path), judge)
        if self._now.latency_s:
            spread = 2 * fraction("latency", call.arrival.number) - 1
            await asyncio.sleep(self._now.latency_s + self._now.jitter_s * spread)
        if not call.arrival.admitted:
            await call.send(self._too_many())
            return
        fault = self._now.faults.deal(path, call.arrival.nth)
        if fault is None:
            await call.send(self._answer(call))
        else:
            judge.deal(fault)
            await self._fail(fault, call)

    def _too_many(self) -> Answer:
        wait_s = self._settings.retry_after_s
        headers = () if wait_s is None else (("retry-after", str(wait_s)),)
        return refusal("UDAPI10005", headers=headers)

    def _answer(self, call: _Call) -> Answer:
        if call.wire.scope["method"] != "GET":
            return refusal("UDAPI10000")
        if not self._may_enter(call.wire.scope):
            return refusal("UDAPI100050")
        answer = self._exchange.answer(call.path, self._now.clock.now(monotonic()))
        if answer.status == HTTPStatus.NOT_FOUND:
            call.judge.unknown_paths += 1
        return answer

    def _may_enter(self, scope: Scope) -> bool:
        if self._settings.auth == "off":
            return True
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if not given:
            return self._settings.auth == "bad_token"
        return given == [b"Bearer " + self._settings.token.encode()]

    async def _fail(self, fault: Fault, call: _Call) -> None:
        seed = fingerprint(self._settings.fault_seed, "dice", call.path, call.arrival.nth)
        dice = random.Random(seed)  # noqa: S311 - reproducible on purpose
        match fault:
            case Fault.RESET:
                call.book_broken()
                await call.wire.reset()
            case Fault.STALL:
                call.book_broken()
                await call.wire.stall(self._settings.stall_s)
            case Fault.TRUNCATED:
                call.book_broken()
                await call.wire.truncated(self._answer(call))
            case Fault.DRIP:
                answer = self._answer(call)
                await call.wire.drip(answer, self._settings.drip_s)
                call.book(answer)
            case Fault.ENDLESS:
                call.book_broken()
                await call.wire.endless(self._answer(call), _ENDLESS_BYTES)
            case _ if fault in DAMAGES:
                share = self._settings.insane_share
                await call.send(damaged(fault, self._answer(call), dice, share))
            case _:
                await call.send(false_answer(fault, dice))
