"""Bad candles are put aside with their reason; good ones, however rare their session, are kept."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from math import isfinite
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors.market.candles import BARS
from actors.market.sanity import inspect
from actors.market.timeframe import Timeframe

IST = timezone(timedelta(hours=5, minutes=30))
DAY = date(2025, 10, 21)
OPENS = 555  # 09:15
GOOD: dict[str, Any] = {
    "open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0, "volume": 5, "oi": 0
}  # fmt: skip


def at(clock: str, day: date = DAY) -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}+05:30")


def bar(stamp: datetime, **other: Any) -> dict[str, Any]:
    return {"ts": stamp, **GOOD, **other}


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=BARS)


def look(
    label: str, *rows: dict[str, Any], first: date = DAY, last: date = DAY, opens: Any = OPENS
):
    return inspect(table(*rows), Timeframe.parse(label), first, last, opens)


def clocks(found: Any) -> list[str]:
    return [f"{stamp.astimezone(IST):%H:%M}" for stamp in found.good["ts"].to_pylist()]


def test_when_all_is_well_the_very_table_comes_back() -> None:
    bars = table(bar(at("09:15")), bar(at("09:16")))
    found = inspect(bars, Timeframe.parse("1minute"), DAY, DAY, OPENS)
    assert found.good is bars
    assert found.bad == ()


def test_no_bars_are_all_well() -> None:
    for label in ("1minute", "1hour", "1day", "1week"):
        found = look(label)
        assert (found.good.num_rows, found.bad) == (0, ())


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"open": float("nan")}, "a price is not finite"),
        ({"high": float("inf")}, "a price is not finite"),
        ({"close": float("-inf")}, "a price is not finite"),
        ({"low": 0.0}, "a price is not above zero"),
        ({"open": -1.0}, "a price is not above zero"),
        ({"open": 0.0, "high": 0.0, "low": 0.0, "close": 0.0}, "a price is not above zero"),
        ({"high": 8.0}, "high is below low"),
        ({"open": 8.5}, "open is outside low to high"),
        ({"open": 12.5}, "open is outside low to high"),
        ({"close": 8.5}, "close is outside low to high"),
        ({"close": 12.5}, "close is outside low to high"),
        ({"volume": -1}, "volume is negative"),
        ({"oi": -1}, "open interest is negative"),
        ({"ts": at("09:16", DAY - timedelta(days=1))}, "outside the asked days"),
        ({"ts": at("00:00", DAY + timedelta(days=1))}, "outside the asked days"),
        ({"ts": at("09:16:30")}, "off the grid of 1minute"),
    ],
)
def test_a_bad_row_is_put_aside_as_json_with_its_reason(wrong: dict[str, Any], reason: str) -> None:
    bad = {**bar(at("09:16")), **wrong}
    rows = sorted([bar(at("09:15")), bad, bar(at("09:17"))], key=lambda row: row["ts"])
    found = look("1minute", *rows)
    assert clocks(found) == ["09:15", "09:17"]
    ((text, why),) = found.bad
    assert why == reason
    stamp, *values = json.loads(text)
    assert datetime.fromisoformat(stamp) == bad["ts"]
    assert stamp.endswith("+05:30")
    assert str(values) == str([bad[name] for name in BARS.names[1:]])


def test_huge_prices_whose_sum_is_infinite_are_finite() -> None:
    huge = dict.fromkeys(("open", "high", "low", "close"), 1.5e308)
    assert look("1minute", bar(at("09:15"), **huge)).bad == ()


def test_an_index_without_volume_is_sane() -> None:
    assert look("1minute", bar(at("09:15"), volume=0, oi=0)).bad == ()


def test_the_day_is_the_day_in_india() -> None:
    """00:00 IST is the evening before in UTC."""
    assert look("1day", bar(at("00:00"))).bad == ()
    assert look("1minute", bar(at("23:59")), opens=None).bad == ()


# The grid


@pytest.mark.parametrize(
    ("label", "session"),
    [
        ("1minute", ["18:00", "18:01", "18:59"]),
        ("3minute", ["13:45", "13:48", "14:42"]),
        ("5minute", ["18:00", "18:05", "18:10"]),
        ("15minute", ["13:45", "14:00", "14:15", "14:30"]),
        ("30minute", ["09:15", "09:45", "15:15"]),
        ("30minute", ["18:00", "18:30"]),
        ("1hour", ["09:15", "10:15", "15:15"]),
        ("1hour", ["13:45"]),
        ("1hour", ["18:00"]),
        ("1hour", ["11:30", "12:30"]),
        ("1hour", ["09:15", "11:30", "12:30"]),
        ("2minute", ["09:15", "09:17", "11:30", "11:32"]),
        ("7minute", ["18:00", "18:07"]),
    ],
)
def test_regular_and_special_sessions_are_on_the_grid(label: str, session: list[str]) -> None:
    """Muhurat evenings, the afternoon of 2025-10-21, Saturdays from 11:30."""
    found = look(label, *(bar(at(clock)) for clock in session))
    assert clocks(found) == session


@pytest.mark.parametrize(
    ("label", "served", "kept"),
    [
        ("5minute", ["09:15", "09:17", "09:20"], ["09:15", "09:20"]),
        ("5minute", ["09:17"], []),
        ("15minute", ["09:15", "09:20", "09:30"], ["09:15", "09:30"]),
        ("1hour", ["09:15", "10:00", "10:15"], ["09:15", "10:15"]),
        ("1hour", ["09:00", "09:15"], ["09:15"]),
        ("30minute", ["09:15", "15:16"], ["09:15", "15:16"]),
        ("30minute", ["15:15", "15:44", "15:45"], ["15:15", "15:45"]),
        ("2minute", ["09:15", "09:16", "09:17"], ["09:15", "09:17"]),
    ],
)
def test_what_stands_between_two_steps_is_off_the_grid(
    label: str, served: list[str], kept: list[str]
) -> None:
    found = look(label, *(bar(at(clock)) for clock in served))
    assert clocks(found) == kept
    assert {reason for _, reason in found.bad} <= {f"off the grid of {label}"}


def test_where_the_opening_is_not_known_any_whole_minute_is_on_the_grid() -> None:
    rows = [bar(at(clock)) for clock in ("09:15", "09:17", "09:17:30")]
    assert clocks(look("5minute", *rows, opens=None)) == ["09:15", "09:17"]


def test_anchors_of_another_day_do_not_count() -> None:
    """24 hours are trivially more than one interval; midnight must not blur two days."""
    rows = [bar(at("23:45")), bar(at("00:05", DAY + timedelta(days=1)))]
    found = look("30minute", *rows, last=DAY + timedelta(days=1))
    assert found.bad == ()


@given(
    st.sampled_from([2, 4, 5, 10, 15, 25, 30, 60, 120, 300]),
    st.sampled_from([540, 555]),
    st.sets(st.integers(0, 2 * 1440 - 1), max_size=25),
)
@example(60, 555, {555, 600, 615})
def test_the_grid_is_as_told_bar_by_bar(interval: int, opens: int, minutes: set[int]) -> None:
    """Naively, for each bar: on phase; or, if 15 minutes are no multiple, not crowded."""
    start = at("00:00")
    rows = [bar(start + timedelta(minutes=minute)) for minute in sorted(minutes)]
    label, tomorrow = f"{interval}minute", DAY + timedelta(days=1)
    found = look(label, *rows, last=tomorrow, opens=opens)

    def on_phase(minute: int) -> bool:
        return (minute % 1440 - opens) % interval == 0

    def fine(minute: int) -> bool:
        if on_phase(minute) or 15 % interval == 0:
            return on_phase(minute)
        anchors = [m for m in minutes if on_phase(m) and m // 1440 == minute // 1440]
        return all(abs(anchor - minute) >= interval for anchor in anchors)

    expected = [start + timedelta(minutes=minute) for minute in sorted(minutes) if fine(minute)]
    assert found.good["ts"].to_pylist() == expected


# Labels of days, weeks and months


@pytest.mark.parametrize(
    ("label", "day", "sane"),
    [
        ("1day", "2025-10-21", True),
        ("1day", "2025-10-20", False),
        ("1week", "2025-10-20", True),  # the Monday of the asked Tuesday
        ("1week", "2025-10-26", True),  # its Sunday
        ("1week", "2025-10-19", False),
        ("1week", "2025-10-27", False),
        ("1month", "2025-10-01", True),
        ("1month", "2025-10-31", True),
        ("1month", "2025-09-30", False),
        ("1month", "2025-11-01", False),
    ],
)
def test_a_bar_belongs_if_it_holds_a_day_that_was_asked(label: str, day: str, sane: bool) -> None:
    found = look(label, bar(at("00:00", date.fromisoformat(day))))
    assert (found.good.num_rows == 1) is sane


def test_a_daily_bar_starts_at_midnight() -> None:
    found = look("1day", bar(at("09:45")))
    assert [reason for _, reason in found.bad] == ["off the grid of 1day"]


# Values, against the rules read out row by row

prices = st.sampled_from([1.0, 2.0, 2.5, 3.0, 0.0, -1.0, float("nan"), float("inf")])
counts = st.sampled_from([0, 1, -1, 2**62])


@given(st.lists(st.tuples(prices, prices, prices, prices, counts, counts), max_size=12))
def test_values_are_judged_as_told_row_by_row(rows: list[tuple[Any, ...]]) -> None:
    start = datetime(2025, 10, 21, 4, 0, tzinfo=UTC)
    names = BARS.names[1:]
    stamped = [
        {"ts": start + timedelta(minutes=i), **dict(zip(names, row, strict=True))}
        for i, row in enumerate(rows)
    ]
    found = look("1minute", *stamped)

    def fine(row: dict[str, Any]) -> bool:
        paid = [row[name] for name in ("open", "high", "low", "close")]
        return (
            all(isfinite(price) and price > 0 for price in paid)
            and max(paid) == row["high"]
            and min(paid) == row["low"]
            and min(row["volume"], row["oi"]) >= 0
        )

    assert found.good.to_pylist() == [row for row in stamped if fine(row)]
    assert len(found.bad) == len(rows) - found.good.num_rows
