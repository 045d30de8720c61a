"""The exchange on HTTP: arrivals to the judge, faults and latency on the way, answers out."""

from __future__ import annotations

import asyncio
import random
from http import HTTPStatus
from time import monotonic, monotonic_ns

from starlette.types import Receive, Scope, Send

from cluster.lookalike.answers import Answer, refusal
from cluster.lookalike.damage import damaged, false_answer
from cluster.lookalike.delivery import Wire
from cluster.lookalike.desk import Conditions, Desk
from cluster.lookalike.exchange import Exchange
from cluster.lookalike.faults import Fault
from cluster.lookalike.market import Market
from cluster.lookalike.question import PREFIX
from cluster.lookalike.randomness import fingerprint, fraction
from cluster.lookalike.settings import Settings

_CANDLES = PREFIX.encode()
_MB = 1_000_000


class Server:
    """ASGI. Candle paths are split while still percent-encoded, so they go past the router."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._now = Conditions(settings)
        self._exchange = Exchange(
            Market(settings.seed),
            cache_bytes=settings.cache_mb * _MB,
            intraday_last_day=settings.intraday_last_day,
        )
        self._rest = Desk(self._now).application()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["raw_path"].startswith(_CANDLES):
            await self._candles(Wire(scope, receive, send))
        else:
            await self._rest(scope, receive, send)

    async def _candles(self, wire: Wire) -> None:
        path = wire.scope["raw_path"].decode("latin-1")
        arrival = self._now.judge.arrive(monotonic_ns(), path)
        if self._now.latency_s:
            spread = 2 * fraction("latency", arrival.number) - 1
            await asyncio.sleep(self._now.latency_s + self._now.jitter_s * spread)
        if not arrival.admitted:
            await self._send(wire, path, self._too_many())
            return
        fault = self._now.faults.deal(path, arrival.nth)
        if fault is None:
            await self._send(wire, path, self._answer(wire.scope, path))
            return
        self._now.judge.deal(fault)
        await self._fail(fault, wire, path, arrival.nth)

    def _answer(self, scope: Scope, path: str) -> Answer:
        if scope["method"] != "GET":
            return refusal("UDAPI10000")
        if not self._may_enter(scope):
            return refusal("UDAPI100050")
        answer = self._exchange.answer(path, self._now.clock.now(monotonic()))
        if answer.status == HTTPStatus.NOT_FOUND:
            self._now.judge.unknown_paths += 1
        return answer

    def _may_enter(self, scope: Scope) -> bool:
        if self._settings.auth == "off":
            return True
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if not given:
            return self._settings.auth == "bad_token"
        return given == [b"Bearer " + self._settings.token.encode()]

    def _too_many(self) -> Answer:
        wait_s = self._settings.retry_after_s
        return refusal(
            "UDAPI10005", headers=() if wait_s is None else (("retry-after", str(wait_s)),)
        )

    async def _fail(self, fault: Fault, wire: Wire, path: str, nth: int) -> None:
        seed = fingerprint(self._settings.fault_seed, "dice", path, nth)
        dice = random.Random(seed)  # noqa: S311 - reproducible on purpose
        match fault:
            case Fault.RESET | Fault.STALL | Fault.TRUNCATED:
                self._now.judge.answer(path, None, 0, candles=False)
                await self._break_off(fault, wire, path)
            case Fault.DRIP:
                answer = self._answer(wire.scope, path)
                await wire.drip(answer, self._settings.drip_s)
                self._book(path, answer)
            case Fault.SHUFFLED | Fault.INSANE | Fault.SPOILED:
                answer = self._answer(wire.scope, path)
                await self._send(
                    wire, path, damaged(fault, answer, dice, self._settings.insane_share)
                )
            case _:
                await self._send(wire, path, false_answer(fault, dice))

    async def _break_off(self, fault: Fault, wire: Wire, path: str) -> None:
        if fault is Fault.RESET:
            await wire.reset()
        elif fault is Fault.STALL:
            await wire.stall(self._settings.stall_s)
        else:
            await wire.truncated(self._answer(wire.scope, path))

    async def _send(self, wire: Wire, path: str, answer: Answer) -> None:
        await wire.whole(answer)
        self._book(path, answer)

    def _book(self, path: str, answer: Answer) -> None:
        self._now.judge.answer(path, answer.status, len(answer.body), candles=answer.candles)
