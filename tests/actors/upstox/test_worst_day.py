"""The client against all that the look-alike can play: each time one reply, in time and in little memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from datetime import date

import pytest

from actors.market.chunk import Cause
from actors.market.timeframe import Timeframe
from actors.upstox.client import DEFAULT_MAX_BODY_BYTES, UpstoxClient
from actors.upstox.reply import Answer, Refused
from cluster.lookalike.faults import WORST, Fault
from cluster.lookalike.launch import Lookalike, run_lookalike
from cluster.lookalike.market import Market
from cluster.lookalike.settings import Settings

KEY = "NSE_EQ|INE062A01020"
DAYS = (date(2024, 1, 1), date(2024, 1, 31))
TOKEN = "eyJ.secret-token.xyz"
TIMEOUT_S = 1.5

CAUSES: dict[Fault, set[Cause]] = {
    Fault.TOO_MANY: {Cause.RATE_LIMITED},
    Fault.SERVER_ERROR: {Cause.SERVER_ERROR},
    Fault.HTML: {Cause.BAD_BODY},
    Fault.ERROR_200: {Cause.RATE_LIMITED, Cause.SERVER_ERROR},
    Fault.TRUNCATED: {Cause.CONNECTION},
    Fault.RESET: {Cause.CONNECTION},
    Fault.STALL: {Cause.TIMEOUT},
    Fault.DRIP: {Cause.TIMEOUT},
    Fault.CLOUDFLARE: {Cause.BANNED},
    Fault.UNAUTHORIZED: {Cause.UNAUTHORIZED},
    Fault.REDIRECT: {Cause.REDIRECTED},
    Fault.NO_UTF8: {Cause.BAD_BODY},
    Fault.NESTED: {Cause.BAD_BODY},
    Fault.CROWD: {Cause.BODY_TOO_LARGE},
    Fault.ENDLESS: {Cause.BODY_TOO_LARGE},
    Fault.BOMB: {Cause.BODY_TOO_LARGE},
}
#: Odd rows are put aside, the others are what the market holds.
STILL_ANSWERS = set(WORST) - set(CAUSES)


@pytest.fixture(scope="module")
def exchange() -> Iterator[Lookalike]:
    with run_lookalike(Settings(windows=(), stall_s=30.0, drip_s=30.0)) as running:
        yield running


@pytest.fixture
def client(exchange: Lookalike, monkeypatch: pytest.MonkeyPatch) -> Iterator[UpstoxClient]:
    monkeypatch.setenv("UPSTOX_ACCESS_TOKEN", TOKEN)
    with UpstoxClient(exchange.base_url, timeout_s=TIMEOUT_S) as client:
        yield client


def ask(client: UpstoxClient, exchange: Lookalike, fault: Fault) -> tuple[Answer | Refused, int]:
    """The reply, and the most bytes that were held for it."""
    exchange.set_faults(**{fault: 1.0})
    tracemalloc.start()
    try:
        reply = client.historical(KEY, Timeframe.parse("15minute"), *DAYS)
        return reply, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        exchange.set_faults()


@pytest.mark.parametrize("fault", CAUSES)
def test_every_fault_is_a_reply_in_time_and_in_little_memory(client, exchange, fault) -> None:
    before = exchange.judge()["requests"]
    began_s = time.monotonic()
    reply, peak_bytes = ask(client, exchange, fault)
    assert isinstance(reply, Refused), reply
    assert reply.cause in CAUSES[fault]
    assert TOKEN not in repr(reply)
    # To make an answer, or to unpack one, may keep the machine busy for as long again.
    assert time.monotonic() - began_s < 4 * TIMEOUT_S
    assert peak_bytes < 3 * DEFAULT_MAX_BODY_BYTES
    assert exchange.judge()["requests"] == before + 1, "one call is one request"
    after = client.historical(KEY, Timeframe.parse("15minute"), *DAYS)
    assert isinstance(after, Answer), "the next request suffers from the last"


@pytest.mark.parametrize("fault", sorted(STILL_ANSWERS))
def test_what_is_only_odd_brings_the_markets_candles_all_the_same(client, exchange, fault) -> None:
    reply, _ = ask(client, exchange, fault)
    assert isinstance(reply, Answer), reply
    truth = Market(0).candles(KEY, "minutes", 15, *DAYS)
    rows = {tuple(row.values())[1:] for row in reply.bars.to_pylist()}
    market = {tuple(x.item() for x in row)[1:] for row in zip(*truth, strict=True)}
    assert market <= rows
    assert len(truth.ts) > 100


def test_every_kind_of_fault_is_tried() -> None:
    assert set(WORST) == (set(CAUSES) - {Fault.CLOUDFLARE, Fault.UNAUTHORIZED}) | STILL_ANSWERS
    assert {Fault.SHUFFLED, Fault.INSANE, Fault.WRONG_TYPE, Fault.NO_NUMBERS} == STILL_ANSWERS
