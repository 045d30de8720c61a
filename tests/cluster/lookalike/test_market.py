from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.lookalike.instruments import known_instruments
from cluster.lookalike.market import Candles, Market
from cluster.lookalike.split import Split

IST = timezone(timedelta(hours=5, minutes=30))
MARKET = Market(seed=11)

SHARE = "NSE_EQ|INE062A01020"
INDEX = "NSE_INDEX|Nifty 50"
FUTURE = "NSE_FO|67003"  # RELIANCE, expires 2026-04-28
COMMODITY = "NSE_COM|125045"  # GOLD, expires 2026-04-02
SMALL = sorted(k for k, r in known_instruments().items() if r["instrument_type"] == "SM")[7]

KEYS = st.sampled_from([SHARE, INDEX, SMALL, FUTURE, COMMODITY]) | st.sampled_from(
    sorted(known_instruments())
)
DAYS = st.dates(date(2022, 1, 1), date(2026, 6, 30))
SPECIAL_OPENINGS = {
    date(2022, 10, 24): 1095,
    date(2023, 11, 12): 1095,
    date(2024, 11, 1): 1080,
    date(2025, 10, 21): 825,
}


def rows(candles: Candles) -> list[tuple[datetime, float, float, float, float, int, int]]:
    return [
        (datetime.fromtimestamp(row[0], UTC).astimezone(IST), *row[1:])
        for row in zip(*(column.tolist() for column in candles), strict=True)
    ]


def naive_merge(fine, label):
    """Group rows by label, one at a time."""
    merged = {}
    for row in fine:
        at = label(row[0])
        if at not in merged:
            merged[at] = [at, *row[1:]]
        else:
            bar = merged[at]
            bar[2] = max(bar[2], row[2])
            bar[3] = min(bar[3], row[3])
            bar[4] = row[4]
            bar[5] += row[5]
            bar[6] = row[6]
    return [tuple(bar) for bar in merged.values()]


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=IST)


def opening(at: datetime, key: str) -> datetime:
    early = key.startswith(("NSE_COM", "NCD_FO", "MCX"))
    regular = 540 if early else 555
    special_weekends = (date(2024, 1, 20), date(2024, 3, 2), date(2024, 5, 18))
    budget_days = (date(2025, 2, 1), date(2026, 2, 1))
    if at.date() in special_weekends + budget_days:
        regular = 555
    minute = SPECIAL_OPENINGS.get(at.date(), regular)
    return midnight(at.date()) + timedelta(minutes=minute)


@given(
    key=KEYS,
    first=DAYS,
    span=st.integers(0, 40),
    frame=st.tuples(st.just("minutes"), st.integers(1, 300))
    | st.tuples(st.just("hours"), st.integers(1, 5)),
)
@settings(max_examples=60, deadline=None)
def test_longer_bars_are_the_minutes_put_together(key, first, span, frame):
    """Any number of minutes or hours: counted from the session's opening, nothing lost or added."""
    unit, interval = frame
    length = timedelta(minutes=interval * (60 if unit == "hours" else 1))
    last = first + timedelta(days=span)
    minutes = rows(MARKET.candles(key, "minutes", 1, first, last))

    def label(at: datetime) -> datetime:
        start = opening(at, key)
        return start + (at - start) // length * length

    assert rows(MARKET.candles(key, unit, interval, first, last)) == naive_merge(minutes, label)


@given(key=KEYS, first=DAYS, span=st.integers(0, 40))
@settings(max_examples=40, deadline=None)
def test_days_are_the_minutes_put_together(key, first, span):
    """Though all daily bars are made without their minutes."""
    last = first + timedelta(days=span)
    minutes = rows(MARKET.candles(key, "minutes", 1, first, last))
    days = rows(MARKET.candles(key, "days", 1, first, last))
    assert days == naive_merge(minutes, lambda at: midnight(at.date()))


def monday(at: datetime) -> datetime:
    return midnight(at.date() - timedelta(days=at.weekday()))


@pytest.mark.parametrize("key", [SHARE, INDEX, SMALL, FUTURE])
@pytest.mark.parametrize(
    ("unit", "label"),
    [("weeks", monday), ("months", lambda at: midnight(at.date().replace(day=1)))],
)
def test_weeks_and_months_are_the_days_put_together(key, unit, label):
    """Over all the years there are."""
    span = date(2000, 1, 1), date(2026, 12, 31)
    days = rows(MARKET.candles(key, "days", 1, *span))
    assert len(days) > 40
    longer = rows(MARKET.candles(key, unit, 1, date(1999, 12, 1), date(2026, 12, 31)))
    assert [bar for bar in longer if bar[0] < midnight(date(2026, 12, 28))] == [
        bar for bar in naive_merge(days, label) if bar[0] < midnight(date(2026, 12, 28))
    ]


@given(key=KEYS, first=DAYS, span=st.integers(0, 40), cut=st.integers(0, 40))
@settings(max_examples=40, deadline=None)
def test_a_part_asked_alone_is_the_part_of_the_whole(key, first, span, cut):
    """What an instrument did on a day does not hang on what else was asked, or before."""
    last = first + timedelta(days=span)
    middle = min(last, first + timedelta(days=cut))
    whole = rows(MARKET.candles(key, "minutes", 1, first, last))
    part = rows(Market(seed=11).candles(key, "minutes", 1, middle, last))
    assert part == [row for row in whole if row[0] >= midnight(middle)]


@given(key=KEYS, first=DAYS)
@settings(max_examples=60, deadline=None)
def test_every_bar_could_have_happened(key, first):
    """Low <= open, close <= high; prices above zero and on the tick; counts not below zero."""
    last = first + timedelta(days=30)
    tick = known_instruments()[key].get("tick_size", 5)
    for unit in ("minutes", "days"):
        c = MARKET.candles(key, unit, 1, first, last)
        assert (c.low <= np.minimum(c.open, c.close)).all()
        assert (c.high >= np.maximum(c.open, c.close)).all()
        assert (c.low > 0).all()
        assert (c.volume >= 0).all()
        assert (c.oi >= 0).all()
        assert (np.diff(c.ts) > 0).all()
        if tick >= 1:
            paise = np.rint(c.close * 100).astype(int)
            assert (paise % int(tick) == 0).all()


def digest() -> str:
    market = Market(seed=3)
    told = hashlib.sha256()
    for key in (SHARE, SMALL, INDEX, FUTURE):
        for unit, first in (("minutes", date(2026, 1, 1)), ("weeks", date(2000, 1, 1))):
            for column in market.candles(key, unit, 1, first, date(2026, 1, 31)):
                told.update(column.astype("<f8").tobytes())
    return told.hexdigest()


def test_the_same_seed_is_the_same_market_in_every_process_and_on_every_machine():
    """The digest stands here, so that a platform or a version that differs is noticed."""
    pinned = "b1d0aefb4ca7eba6b70dea36f8e6eb20baeaef5a60e6d511f59c582f8497fc99"
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]; import runpy;"
        f"print(runpy.run_path({__file__!r})['digest']())"
    )
    elsewhere = subprocess.run(
        [sys.executable, "-c", program, *sys.path],
        env=os.environ | {"PYTHONHASHSEED": "99"},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (digest(), elsewhere.stdout.strip()) == (pinned, pinned)


def test_another_seed_is_another_market():
    """Else the seed would be ignored."""
    span = date(2024, 1, 1), date(2024, 1, 31)
    ours, others = (Market(seed).candles(SHARE, "days", 1, *span) for seed in (1, 2))
    assert not np.array_equal(ours.close, others.close)


def test_a_regular_day_has_375_minutes_from_a_quarter_past_nine():
    """Of a share that trades all the time."""
    day = rows(MARKET.candles(SHARE, "minutes", 1, date(2024, 1, 4), date(2024, 1, 4)))
    start = midnight(date(2024, 1, 4)) + timedelta(minutes=555)
    assert [row[0] for row in day] == [start + timedelta(minutes=n) for n in range(375)]
    hours = rows(MARKET.candles(SHARE, "hours", 1, date(2024, 1, 4), date(2024, 1, 4)))
    assert [row[0] for row in hours] == [start + timedelta(hours=n) for n in range(7)]


def test_closed_days_have_no_bars_and_special_sessions_have_theirs():
    """A holiday, a weekend, a short Saturday, an evening on a holiday, a Sunday evening."""

    def times(day: date) -> tuple[int, str]:
        found = rows(MARKET.candles(SHARE, "minutes", 1, day, day))
        return len(found), f"{found[0][0]:%H:%M}" if found else ""

    assert times(date(2024, 1, 26)) == (0, "")
    assert times(date(2024, 1, 27)) == (0, "")
    assert times(date(2024, 1, 20)) == (195, "09:15")
    assert times(date(2022, 10, 24)) == (60, "18:15")
    assert times(date(2023, 11, 12)) == (60, "18:15")


def test_history_begins_where_the_real_one_does():
    """Minutes on 2022-01-01, which was a Saturday; days on 2000-01-03."""
    minutes = rows(MARKET.candles(INDEX, "minutes", 15, date(2021, 11, 1), date(2022, 1, 5)))
    days = rows(MARKET.candles(INDEX, "days", 1, date(1999, 1, 1), date(2000, 1, 5)))
    assert minutes[0][0] == midnight(date(2022, 1, 3)) + timedelta(minutes=555)
    assert [row[0].date() for row in days] == [date(2000, 1, n) for n in (3, 4, 5)]


def test_some_shares_were_listed_late_and_some_miss_minutes_and_days():
    """A minority each; the others are there from the start and trade in every minute."""
    shares = sorted(k for k, r in known_instruments().items() if r["instrument_type"] == "EQ")[:120]
    since_2000 = [
        len(MARKET.candles(k, "days", 1, date(2000, 1, 3), date(2000, 1, 31)).ts) for k in shares
    ]
    late = since_2000.count(0)
    day = date(2026, 2, 3), date(2026, 2, 3)
    minutes = [len(MARKET.candles(k, "minutes", 1, *day).ts) for k in shares]
    thin = sum(0 < count < 375 for count in minutes)
    assert 10 < late < 50
    assert 3 < thin < 20
    assert minutes.count(375) > 90

    small = MARKET.candles(SMALL, "days", 1, date(2025, 7, 1), date(2026, 6, 30))
    share = MARKET.candles(SHARE, "days", 1, date(2025, 7, 1), date(2026, 6, 30))
    assert 0 < len(small.ts) < len(share.ts)


def test_an_index_has_no_volume_and_only_contracts_have_open_interest():
    """As on the wire of the real service."""
    span = date(2026, 2, 1), date(2026, 2, 28)
    index, share, future = (MARKET.candles(k, "minutes", 5, *span) for k in (INDEX, SHARE, FUTURE))
    assert not index.volume.any()
    assert share.volume.all()
    assert not index.oi.any()
    assert not share.oi.any()
    assert future.oi.all()


def test_a_contract_ends_with_its_expiry():
    """RELIANCE FUT 28 APR 26."""
    days = rows(MARKET.candles(FUTURE, "days", 1, date(2025, 1, 1), date(2026, 12, 31)))
    assert days[-1][0].date() == date(2026, 4, 28)
    assert days[0][0].date() > date(2026, 1, 1)


def test_what_has_not_happened_is_not_in_a_week_or_month():
    """`before` cuts days, not only labels: the current week holds its days so far."""
    wednesday = date(2026, 2, 11)
    week = MARKET.candles(SHARE, "weeks", 1, date(2026, 2, 9), date(2026, 2, 28), before=wednesday)
    days = MARKET.candles(SHARE, "days", 1, date(2026, 2, 9), date(2026, 2, 10))
    assert rows(week) == naive_merge(rows(days), monday)


def test_an_unknown_instrument_is_a_key_error():
    """The exchange asks the master first."""
    with pytest.raises(KeyError):
        MARKET.candles("NSE_EQ|INE000000000", "days", 1, date(2024, 1, 1), date(2024, 1, 2))


@pytest.mark.parametrize("ratio", [2, 5, 1.5])
def test_a_split_rewrites_all_history_on_its_day_and_not_before(ratio):
    """Prices in whole ticks, volumes whole; other instruments stay as they are."""
    ex_date, first, last = date(2024, 6, 3), date(2024, 3, 1), date(2024, 5, 31)
    market = Market(seed=11, splits={SHARE: Split(ratio, ex_date)})
    for unit, interval in (("days", 1), ("minutes", 5)):
        asked = (SHARE, unit, interval, first, last)
        raw = rows(MARKET.candles(*asked))
        assert rows(market.candles(*asked, before=date(2024, 6, 2))) == raw
        for old, new in zip(raw, rows(market.candles(*asked, before=ex_date)), strict=True):
            assert new[0] == old[0]
            for price, was in zip(new[1:5], old[1:5], strict=True):
                assert abs(price - was / ratio) < 0.051
                assert round(price * 100) % 10 == 0
            assert new[5] == pytest.approx(old[5] * ratio, abs=1)
    assert rows(market.candles(INDEX, "days", 1, first, last)) == rows(
        MARKET.candles(INDEX, "days", 1, first, last)
    )


def test_bars_of_a_split_share_agree_with_its_minutes():
    """Highest of the highs, sum of the volumes: rounding to ticks keeps the order of prices."""
    market = Market(seed=11, splits={SHARE: Split(2, date(2024, 1, 1))})
    days = (date(2024, 3, 1), date(2024, 3, 31))
    fine = rows(market.candles(SHARE, "minutes", 1, *days))
    daily = naive_merge(fine, lambda at: at.replace(hour=0, minute=0))
    assert rows(market.candles(SHARE, "days", 1, *days)) == daily
