"""What an answer is made into: candles, quarantine, and a receipt that counts both."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pyarrow as pa

from actors.fetcher.receipt import failed, fetched
from actors.market.candles import BARS, CANDLES, QUARANTINE
from actors.market.chunk import Cause, Chunk, Status
from actors.market.sessions import IST
from actors.market.timeframe import Timeframe
from actors.upstox.reply import Answer, Refused

CHUNK = Chunk("NSE_EQ|X", "X", Timeframe.parse("1day"), date(2024, 1, 1), date(2024, 1, 3))
NOW = datetime(2024, 1, 3, 12, tzinfo=UTC)


def answer(*rows: tuple[int, float, float], misshapen: tuple[tuple[str, str], ...] = ()) -> Answer:
    """Daily bars as (day of January, low, high)."""
    made = [
        {
            "ts": datetime(2024, 1, day, tzinfo=IST),
            "open": low,
            "high": high,
            "low": low,
            "close": low,
            "volume": 1,
            "oi": 0,
        }
        for day, low, high in rows
    ]
    return Answer(bars=pa.Table.from_pylist(made, schema=BARS), misshapen=misshapen)


def test_good_rows_are_kept_and_bad_ones_put_aside_and_both_are_counted() -> None:
    delivery = fetched(
        CHUNK, answer((1, 5.0, 6.0), (2, 7.0, 6.0), misshapen=(("[1]", "short"),)), 2, "r", NOW
    )
    receipt = delivery.receipt
    assert (receipt.status, receipt.rows, receipt.quarantined) == (Status.STORED, 1, 2)
    assert receipt.attempts == 2
    assert delivery.candles is not None
    assert delivery.candles.schema.equals(CANDLES)
    assert delivery.candles["date"].to_pylist() == [date(2024, 1, 1)]
    assert delivery.quarantine is not None
    assert delivery.quarantine.schema.equals(QUARANTINE)
    assert set(delivery.quarantine["chunk_id"].to_pylist()) == {CHUNK.id}
    assert "short" in delivery.quarantine["reason"].to_pylist()


def test_an_answer_without_rows_is_empty_and_no_failure() -> None:
    delivery = fetched(CHUNK, answer(), 1, "r", NOW)
    assert delivery.receipt.status is Status.EMPTY
    assert delivery.candles is None
    assert delivery.quarantine is None


def test_an_answer_without_a_sane_row_is_a_failure_and_not_an_empty_span() -> None:
    """Known empty would never be asked again, and the hole would be silent."""
    delivery = fetched(CHUNK, answer((1, 7.0, 6.0)), 1, "r", NOW)
    assert (delivery.receipt.status, delivery.receipt.cause) == (Status.FAILED, Cause.BAD_BODY)
    assert delivery.candles is None
    assert delivery.quarantine is not None


def test_a_span_with_an_unsettled_day_is_not_final() -> None:
    assert not fetched(CHUNK, answer((1, 5.0, 6.0)), 1, "r", NOW).receipt.final
    later = datetime(2024, 1, 4, 3, 0, tzinfo=UTC)  # 08:30 IST
    assert fetched(CHUNK, answer((1, 5.0, 6.0)), 1, "r", later).receipt.final


def test_dead_letters_carry_their_cause() -> None:
    refusal = Refused(
        cause=Cause.UNKNOWN_INSTRUMENT,
        message="no such key",
        http_status=400,
        error_code="UDAPI100011",
    )
    receipt = failed(CHUNK, refusal, 1, "r", NOW).receipt
    assert (receipt.status, receipt.cause, receipt.error_code) == (
        Status.FAILED,
        Cause.UNKNOWN_INSTRUMENT,
        "UDAPI100011",
    )
