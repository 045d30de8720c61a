"""A path and the time in, an answer out. No sockets, no limits, no faults."""

from __future__ import annotations

import json
from collections import OrderedDict
from datetime import date, datetime, time
from typing import Any, TypeAlias

from cluster.lookalike.answers import JSON, Answer, refusal
from cluster.lookalike.clock import day_and_second
from cluster.lookalike.market import Market
from cluster.lookalike.question import Question, read
from cluster.lookalike.settings import IST
from cluster.lookalike.split import Split
from cluster.lookalike.trading_days import SPECIAL_SESSIONS, Session, holidays_of
from cluster.lookalike.wire import EMPTY_BODY, body_of

_EXCHANGES = ["NSE", "NFO", "CDS", "BSE", "BFO", "BCD", "MCX", "NSCOM"]
_AFTER_HOURS = 86_400


class Exchange:
    def __init__(
        self,
        market: Market,
        *,
        cache_bytes: int,
        intraday_last_day: bool = False,
        intraday_differs: float = 0.0,
    ) -> None:
        self._market = market
        self._intraday_last_day = intraday_last_day
        self._intraday_differs = intraday_differs
        self._bodies = _Bodies(cache_bytes)

    def answer(self, raw_path: str, now: datetime) -> Answer:
        """To a GET of a candle path, still percent-encoded."""
        question = read(raw_path)
        if isinstance(question, Answer):
            return question
        today, second = day_and_second(now)
        if question.days is None:
            return Answer(200, self._intraday(question, today, second), candles=True)
        return Answer(200, self._historical(question, question.days, today), candles=True)

    def _historical(self, asked: Question, days: tuple[date, date], today: date) -> bytes:
        key = (asked, today, self._market.split_of(asked.instrument_key))
        body = self._bodies.get(key)
        if body is None:
            bars = self._market.bars(
                asked.instrument_key, asked.unit, asked.interval, *days, before=today
            )
            body = body_of(bars)
            self._bodies.put(key, body)
        return body

    def _intraday(self, asked: Question, today: date, second: int) -> bytes:
        day = self._market.last_session(asked.instrument_key, today)
        if day != today and self._intraday_last_day:  # seen on the real service on closed days
            second = _AFTER_HOURS
        elif day != today:
            day = None
        if day is None:
            return EMPTY_BODY
        bars = self._market.today(asked.instrument_key, asked.unit, asked.interval, day, second)
        # A quarter of the real ones did, by up to 0.6 % (reported by users, 2026).
        return body_of(bars.differing(self._intraday_differs))


_Key: TypeAlias = tuple[Question, date, Split | None]


class _Bodies:
    """Bodies answered before, the longest unused dropped first."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._held_bytes = 0
        self._held: OrderedDict[_Key, bytes] = OrderedDict()

    def get(self, key: _Key) -> bytes | None:
        body = self._held.get(key)
        if body is not None:
            self._held.move_to_end(key)
        return body

    def put(self, key: _Key, body: bytes) -> None:
        self._held[key] = body
        self._held_bytes += len(body)
        while self._held_bytes > self._most_bytes:
            _, dropped = self._held.popitem(last=False)
            self._held_bytes -= len(dropped)


def holidays(today: date, asked: str | None) -> Answer:
    """`/v2/market/holidays`: of the current year, or of the one date asked for."""
    if asked is None:
        days = _entries(today.year)
    else:
        try:
            day = date.fromisoformat(asked)
        except ValueError:
            return refusal("UDAPI1088")
        days = [entry for entry in _entries(day.year) if entry["date"] == day.isoformat()]
    body = json.dumps({"status": "success", "data": days}, separators=(",", ":"))
    return Answer(200, body.encode(), JSON)


def _entries(year: int) -> list[dict[str, Any]]:
    special = {day: named for day, named in SPECIAL_SESSIONS.items() if day.year == year}
    closed = {day: name for day, name in holidays_of(year).items() if day not in special}
    entries = [_entry(day, name, "TRADING_HOLIDAY", None) for day, name in closed.items()]
    entries += [
        _entry(day, name, "SPECIAL_TIMING", session) for day, (name, session) in special.items()
    ]
    return sorted(entries, key=lambda entry: str(entry["date"]))


def _entry(day: date, name: str, kind: str, session: Session | None) -> dict[str, Any]:
    midnight_s = int(datetime.combine(day, time(), IST).timestamp())
    hours = []
    if session is not None:
        opens_s = midnight_s + session.opens_at * 60
        closes_s = opens_s + session.minutes * 60
        hours = [
            {"exchange": name, "start_time": opens_s * 1000, "end_time": closes_s * 1000}
            for name in _EXCHANGES
        ]
    return {
        "date": day.isoformat(),
        "description": name,
        "holiday_type": kind,
        "closed_exchanges": [] if session else _EXCHANGES,
        "open_exchanges": hours,
    }
