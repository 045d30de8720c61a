"""The shared words: timeframes, chunks, days that settle, candles with their labels."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.market.candles import BARS, CANDLES, label_candles
from actors.market.chunk import Chunk
from actors.market.sessions import IST, ist_date, settled_at
from actors.market.timeframe import Timeframe, Unit

timeframes = st.builds(Timeframe, st.sampled_from(Unit), st.integers(1, 300))
days = st.dates(date(2000, 1, 1), date(2035, 12, 31))


@given(timeframes)
def test_a_label_reads_back_however_it_is_spelt(timeframe: Timeframe) -> None:
    for spelling in (
        timeframe.label,
        f"{timeframe.interval} {timeframe.unit}s",
        timeframe.label.upper(),
    ):
        assert Timeframe.parse(spelling) == timeframe


@pytest.mark.parametrize(
    "label", ["", "minute", "0minute", "-5minute", "5", "5min", "1.5hour", "1da"]
)
def test_what_is_no_timeframe_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match="is no timeframe"):
        Timeframe.parse(label)


@given(st.sampled_from(["1day", "1week", "1month", "5minute"]), days)
def test_bars_tile_the_calendar(label: str, day: date) -> None:
    """Every day is in exactly one bar: its bar holds it, and the next bar begins the day after."""
    timeframe = Timeframe.parse(label)
    first, last = timeframe.bar_days(day)
    assert first <= day <= last
    assert timeframe.bar_days(first) == timeframe.bar_days(last) == (first, last)
    assert timeframe.bar_days(last + timedelta(days=1))[0] == last + timedelta(days=1)
    if label == "1week":
        assert (first.weekday(), (last - first).days) == (0, 6)
    if label == "1month":
        assert first.day == 1
        assert (last + timedelta(days=1)).day == 1


@given(days, st.integers(0, 4000))
def test_halves_are_the_same_days_once_each(first: date, length: int) -> None:
    chunk = Chunk("NSE_EQ|X", "X", Timeframe.parse("1day"), first, first + timedelta(days=length))
    halves = chunk.halves()
    if length == 0:
        assert halves is None
        return
    assert halves is not None
    left, right = halves
    assert (left.first, right.last) == (chunk.first, chunk.last)
    assert right.first == left.last + timedelta(days=1)
    assert len({chunk.id, left.id, right.id}) == 3


def test_a_day_settles_on_the_next_morning_in_india() -> None:
    assert settled_at(Timeframe.parse("1day"), date(2024, 1, 31)) == datetime(
        2024, 2, 1, 8, 30, tzinfo=IST
    )
    assert settled_at(Timeframe.parse("1week"), date(2024, 1, 31)).date() == date(2024, 2, 5)
    assert settled_at(Timeframe.parse("1month"), date(2024, 1, 3)).date() == date(2024, 2, 1)


def test_a_day_in_india_begins_at_half_past_six_in_london() -> None:
    assert ist_date(datetime(2024, 1, 1, 18, 29, tzinfo=UTC)) == date(2024, 1, 1)
    assert ist_date(datetime(2024, 1, 1, 18, 30, tzinfo=UTC)) == date(2024, 1, 2)


def bars(*stamps: datetime) -> pa.Table:
    rows = [
        {"ts": ts, "open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5, "volume": 3, "oi": 0}
        for ts in stamps
    ]
    return pa.Table.from_pylist(rows, schema=BARS)


def test_candles_carry_the_day_and_partition_of_india_not_of_utc() -> None:
    """A daily bar of 1 January starts at 18:30 UTC of the day before, in another year."""
    chunk = Chunk("NSE_EQ|X", "X", Timeframe.parse("1day"), date(2024, 1, 1), date(2024, 1, 2))
    stamps = [datetime(2023, 12, 31, 18, 30, tzinfo=UTC), datetime(2024, 1, 1, 18, 30, tzinfo=UTC)]
    table = label_candles(chunk, bars(*stamps), datetime(2024, 1, 2, 12, tzinfo=UTC))
    assert table.schema.equals(CANDLES)
    assert table["date"].to_pylist() == [date(2024, 1, 1), date(2024, 1, 2)]
    assert table["period"].to_pylist() == ["2024", "2024"]
    assert table["ts"].to_pylist() == stamps
    assert table["final"].to_pylist() == [True, False]


def test_every_column_says_what_it_means() -> None:
    assert all(field.metadata and b"meaning" in field.metadata for field in CANDLES)
