"""Everything but candles: the judge's report, the controls, the instrument master, holidays."""

from __future__ import annotations

import json
from datetime import date, datetime
from time import monotonic
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cluster.lookalike.answers import Answer, refusal
from cluster.lookalike.clock import Clock
from cluster.lookalike.exchange import holidays
from cluster.lookalike.faults import FaultPlan
from cluster.lookalike.instruments import file_of
from cluster.lookalike.judge import Judge
from cluster.lookalike.settings import IST, Settings
from cluster.lookalike.split import Split


class Conditions:
    """What may change while the server runs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        start = settings.now or datetime.now(IST)
        self.clock = Clock(start, settings.clock_rate, monotonic())
        self.faults = FaultPlan(
            settings.faults, settings.fault_seed, settings.faults_per_path, settings.faults_matching
        )
        self.splits = dict(settings.splits)
        self.latency_s = settings.latency_s
        self.jitter_s = settings.jitter_s
        self.judge = self.fresh_judge()

    def fresh_judge(self) -> Judge:
        return Judge(
            self._settings.windows,
            enforces=not self._settings.unlimited,
            counts_refused=self._settings.count_refused,
            keeps_log=self._settings.log_arrivals,
        )


class Desk:
    """The controls answer when they have taken effect; what they refuse is 400 and says why."""

    def __init__(self, conditions: Conditions) -> None:
        self._now = conditions

    def application(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/judge", self._report),
                Route("/judge/reset", self._reset, methods=["POST"]),
                *(Route(path, self._change, methods=["POST"]) for path in _CHANGES),
                Route("/market-quote/instruments/exchange/{exchange}.json.gz", self._master),
                Route("/v2/market/holidays", self._holidays),
                Route("/v2/market/holidays/{day}", self._holidays),
            ],
            exception_handlers={404: self._unrouted, 405: self._not_allowed},
        )

    async def _report(self, request: Request) -> Response:
        return JSONResponse(self._now.judge.report(with_log="log" in request.query_params))

    async def _reset(self, _: Request) -> Response:
        self._now.judge = self._now.fresh_judge()
        return JSONResponse({})

    async def _change(self, request: Request) -> Response:
        try:
            wanted: dict[str, Any] = json.loads(await request.body())
            _CHANGES[request.url.path](self._now, wanted)
        except (ValueError, TypeError, KeyError) as mistake:
            return JSONResponse({"error": str(mistake)}, 400)
        return JSONResponse({})

    async def _master(self, request: Request) -> Response:
        packed = file_of(request.path_params["exchange"])
        if packed is None:
            return self._nowhere()
        self._now.judge.assets += 1
        return Response(packed, media_type="application/gzip")

    async def _holidays(self, request: Request) -> Response:
        today = self._now.clock.now(monotonic()).date()
        return _response(holidays(today, request.path_params.get("day")))

    async def _unrouted(self, _: Request, __: Exception) -> Response:
        return self._nowhere()

    async def _not_allowed(self, _: Request, __: Exception) -> Response:
        return _response(refusal("UDAPI10000"))

    def _nowhere(self) -> Response:
        self._now.judge.unknown_paths += 1
        return _response(refusal("UDAPI100060"))


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, {"content-type": answer.content_type})


def _change_faults(conditions: Conditions, wanted: dict[str, Any]) -> None:
    """Take `{"rates": {...}, "seed": 0, "per_path": null, "matching": ""}`, or less of it."""
    conditions.faults = FaultPlan(**wanted)


def _change_clock(conditions: Conditions, wanted: dict[str, Any]) -> None:
    moment = datetime.fromisoformat(wanted["now"])
    conditions.clock.set(moment if moment.tzinfo else moment.replace(tzinfo=IST), monotonic())


def _change_latency(conditions: Conditions, wanted: dict[str, Any]) -> None:
    conditions.latency_s = float(wanted["mean_s"])
    conditions.jitter_s = float(wanted.get("jitter_s", 0))


def _change_splits(conditions: Conditions, wanted: dict[str, Any]) -> None:
    """Add `{"instrument_key": ..., "ratio": 2, "ex_date": ...}`; without a date it is in force at once."""
    ratio = float(wanted["ratio"])
    if not ratio > 0:
        raise ValueError(f"a split makes more than 0 of a share, not {ratio}")
    today = conditions.clock.now(monotonic()).date()
    ex_date = date.fromisoformat(wanted["ex_date"]) if wanted.get("ex_date") else today
    conditions.splits[wanted["instrument_key"]] = Split(ratio, ex_date)


_CHANGES = {
    "/judge/splits": _change_splits,
    "/judge/faults": _change_faults,
    "/judge/clock": _change_clock,
    "/judge/latency": _change_latency,
}
