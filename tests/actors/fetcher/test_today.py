"""The running day, from a real server to a real table; the clock is the exchange's."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from actors.fetcher.receipt import fetched, of_the_day
from actors.market.chunk import Chunk, Status
from actors.market.sessions import IST
from actors.market.timeframe import Timeframe
from actors.upstox.client import UpstoxClient
from actors.upstox.token import TokenSource
from actors.writer.store import StoreWriter
from cluster.lookalike.launch import Lookalike, run_lookalike
from cluster.lookalike.market import Market
from cluster.lookalike.settings import Settings

KEY = "NSE_EQ|INE062A01020"
DAY = date(2026, 2, 12)  # a Thursday
MORNING = datetime(2026, 2, 12, 11, 2, 30, tzinfo=IST)


@pytest.fixture(scope="module")
def exchange():
    settings = Settings(
        now=MORNING, clock_rate=0, windows=(), intraday_last_day=True, intraday_differs=0.25
    )
    with run_lookalike(settings) as running:
        yield running


def deliver(exchange: Lookalike, label: str, now: datetime, *, forming: bool = False):
    """What a fetcher delivers of the day that is running then."""
    exchange.set_now(now)
    chunk = Chunk(KEY, "SBIN", Timeframe.parse(label), now.date(), now.date())
    with UpstoxClient(exchange.base_url, token=TokenSource.find(None)) as client:
        answer = of_the_day(chunk, client.intraday(KEY, chunk.timeframe), now, forming=forming)
    return fetched(chunk, answer, 1, "r", now)


def stamps(delivery) -> list[str]:
    if delivery.candles is None:
        return []
    return [f"{ts.astimezone(IST):%H:%M}" for ts in delivery.candles["ts"].to_pylist()]


def test_bars_that_may_still_change_are_left_out_unless_wanted(exchange):
    """At 11:02:30 the hour of 10:15 forms, and the five minutes of 10:55 have been over for long."""
    five = deliver(exchange, "5minute", MORNING)
    assert (stamps(five)[0], stamps(five)[-1], len(stamps(five))) == ("09:15", "10:55", 21)
    assert stamps(deliver(exchange, "1hour", MORNING)) == ["09:15"]
    assert stamps(deliver(exchange, "1hour", MORNING, forming=True)) == ["09:15", "10:15"]
    assert stamps(deliver(exchange, "1day", MORNING)) == []
    assert stamps(deliver(exchange, "1day", MORNING, forming=True)) == ["00:00"]
    just_over = MORNING.replace(minute=0, second=59)
    assert stamps(deliver(exchange, "5minute", just_over))[-1] == "10:50"
    assert not any(five.candles["final"].to_pylist())
    assert not five.receipt.final


def test_the_last_sessions_bars_are_not_taken_for_a_holidays(exchange):
    saturday = datetime(2026, 2, 14, 12, tzinfo=IST)
    closed = deliver(exchange, "5minute", saturday)
    assert (closed.receipt.status, closed.receipt.quarantined) == (Status.EMPTY, 0)
    assert deliver(exchange, "5minute", saturday, forming=True).candles is None


def test_a_running_day_grows_and_gives_way_to_history(exchange, tmp_path):
    """No version holds a bar twice or loses one; nobody takes the change for a rewritten history."""
    uri = str(tmp_path / "store")
    writer = StoreWriter(uri)
    minute = Timeframe.parse("1minute")
    for now in (MORNING, MORNING, MORNING + timedelta(hours=2)):
        (receipt,) = writer.commit([deliver(exchange, "1minute", now)]).receipts
        assert (receipt.status, receipt.revised) == (Status.STORED, 0)
    with UpstoxClient(exchange.base_url, token=TokenSource.find(None)) as client:
        # Before history holds the day, an answer for a longer span takes nothing from it.
        for hour, days in ((0.5, DAY - timedelta(1)), (9, DAY)):
            now = datetime(2026, 2, 13, tzinfo=IST) + timedelta(hours=hour)
            exchange.set_now(now)
            asked = Chunk(KEY, "SBIN", minute, DAY - timedelta(days=2), DAY)
            answer = client.historical(KEY, minute, asked.first, days)
            (receipt,) = writer.commit([fetched(asked, answer, 1, "r", now)]).receipts
            assert (receipt.revised, receipt.outdates) == (0, None)

    counts = []
    for version in range(1, writer.candles_version + 1):
        table = pa.table(DeltaTable(f"{uri}/candles", version=version).scan())
        of_day = [row for row in table.to_pylist() if row["date"] == DAY]
        assert len({row["ts"] for row in of_day}) == len(of_day)
        counts.append((len(of_day), sum(row["final"] for row in of_day)))
    assert counts == [(106, 0), (226, 0), (226, 0), (375, 375)]
    truth = Market(0).candles(KEY, "minutes", 1, DAY, DAY)
    assert sorted(row["close"] for row in of_day) == sorted(truth.close.tolist())


def test_an_empty_answer_for_an_unsettled_day_is_no_failure(exchange, tmp_path):
    """Of what its own endpoint served, nothing is in history yet, and all of it stays."""
    writer = StoreWriter(str(tmp_path / "store"))
    writer.commit([deliver(exchange, "1minute", MORNING)])
    at_night = datetime(2026, 2, 13, 0, 30, tzinfo=IST)
    asked = Chunk(KEY, "SBIN", Timeframe.parse("1minute"), DAY, DAY)
    with UpstoxClient(exchange.base_url, token=TokenSource.find(None)) as client:
        sunday = client.historical(KEY, asked.timeframe, date(2026, 2, 8), date(2026, 2, 8))
    (early,) = writer.commit([fetched(asked, sunday, 1, "r", at_night)]).receipts
    (late,) = writer.commit([fetched(asked, sunday, 1, "r", at_night + timedelta(1))]).receipts
    assert (early.status, late.status) == (Status.EMPTY, Status.FAILED)
