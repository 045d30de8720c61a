"""A store is stale when a session should be there and is not; by receipts, against naive counts."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.market.candles import Delivery
from actors.market.chunk import Cause, Chunk, Receipt, Status
from actors.market.session_days import REFERENCE, SessionDays
from actors.market.sessions import IST
from actors.market.timeframe import Timeframe
from actors.writer.receipts import receipts_table
from actors.writer.store import StoreWriter
from cluster.config import RunConfig, load
from cluster.config.schedule import JobSettings
from cluster.schedule.health import (
    LEAST_WINDOW,
    Freshness,
    freshness,
    look,
    newest_due,
    promised,
    token_warning,
)
from cluster.schedule.when import When
from tests.cluster.schedule.one_by_one import between

DAY = timedelta(days=1)
DAILY = Timeframe.parse("1day")
MONDAY = date(2026, 11, 16)
SBIN, INFY, GOLD = "NSE_EQ|INE062A01020", "NSE_EQ|INE009A01021", "MCX_FO|1"


def ist(day: date, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=IST)


def receipt(
    key: str,
    first: date,
    last: date,
    fetched_at: datetime,
    status: Status = Status.EMPTY,
    timeframe: Timeframe = DAILY,
) -> Receipt:
    cause = Cause.TIMEOUT if status is Status.FAILED else None
    return Receipt(
        chunk=Chunk(key, key, timeframe, first, last),
        status=status,
        cause=cause,
        error="too slow" if cause else None,
        run_id="run",
        fetched_at=fetched_at,
        attempts=1,
    )


def of(
    receipts: Sequence[Receipt], by: datetime | None, calendar: SessionDays | None = None
) -> Freshness:
    (found,) = freshness(
        receipts_table(receipts),
        {DAILY: None},
        calendar or SessionDays(),
        by,
        by or ist(MONDAY),
    )
    return found


# What is promised by when


jobs = st.builds(
    JobSettings,
    name=st.just("daily"),
    when=st.sampled_from(
        ["daily 18:00", "weekly sunday 20:00", "0 9-15 * * 1-5", "0 6 1 * *", "30 8 * 2-4 *"]
    ).map(When.parse),
    retry_for_s=st.sampled_from([0.0, 600.0, 10_800.0, 86_400.0]),
)
moments = st.integers(0, 400 * 1_440).map(lambda n: ist(date(2026, 1, 1)) + timedelta(minutes=n))


@settings(max_examples=30)
@given(st.lists(jobs, min_size=1, max_size=2), moments, st.none() | moments)
def test_what_is_promised_is_the_newest_occasion_that_has_had_its_time(
    jobs: list[JobSettings], now: datetime, since: datetime | None
) -> None:
    found = promised(jobs, now, since)
    naive = [
        occasion
        for job in jobs
        for window in [max(timedelta(seconds=job.retry_for_s), LEAST_WINDOW)]
        # A month's job has one in any 32 days, and one of spring in any year.
        for lookback in [8 * DAY if "9-15" in job.when.text else 320 * DAY]
        for occasion in between(job.when, now - window - lookback, now - window)
        if since is None or occasion > since
    ]
    assert found == max(naive, default=None)


def test_a_job_of_leap_years_was_due_long_ago() -> None:
    job = JobSettings(name="rare", when=When.parse("0 0 29 2 *"))
    assert promised([job], ist(date(2027, 12, 31))) == ist(date(2024, 2, 29))


@st.composite
def calendars(draw: st.DrawFn) -> SessionDays:
    first = MONDAY + draw(st.integers(-40, 5)) * DAY
    last = first + draw(st.integers(0, 40)) * DAY
    days = [first + n * DAY for n in range((last - first).days + 1)]
    return SessionDays(frozenset(draw(st.sets(st.sampled_from(days)))), ((first, last),))


@given(
    st.sampled_from(["1day", "5minute", "1week", "1month"]).map(Timeframe.parse),
    calendars(),
    st.integers(0, 40 * 24).map(lambda hours: ist(MONDAY) + timedelta(hours=hours)),
    st.none() | st.integers(-20, 50).map(lambda n: MONDAY + n * DAY),
)
def test_the_newest_due_is_the_last_of_all_days_that_count(
    timeframe: Timeframe, calendar: SessionDays, by: datetime, last: date | None
) -> None:
    def counts(day: date) -> bool:
        opened = day in calendar.sessions
        if not any(first <= day <= until for first, until in calendar.known):
            opened = opened or day.weekday() < 5
        settled = ist(timeframe.bar_days(day)[1] + DAY, 8, 30)
        return opened and settled <= by and (last is None or day <= last)

    found = newest_due(timeframe, last, calendar, by)
    days = [MONDAY + n * DAY for n in range(-105, 50)]
    naive = max(filter(counts, days), default=None)
    assert found == naive or (found is None and naive < MONDAY - 60 * DAY)  # closed for months


# What is there


spans = st.tuples(
    st.sampled_from([SBIN, INFY, "BSE_EQ|INE002A01018"]),
    st.integers(-45, 6),
    st.integers(0, 6),
    st.integers(0, 3 * 24),
    st.sampled_from([Status.STORED, Status.EMPTY, Status.FAILED]),
)


@given(st.lists(spans, max_size=8), st.integers(0, 6), st.integers(0, 23))
def test_who_lacks_the_session_is_counted_as_by_hand(
    drawn: list[tuple[str, int, int, int, Status]], days: int, hour: int
) -> None:
    by = ist(MONDAY + days * DAY, hour)
    receipts = []
    for key, first, length, hours, status in drawn:
        last = MONDAY + (first + length) * DAY
        fetched_at = ist(last) + timedelta(hours=hours)
        receipts.append(receipt(key, MONDAY + first * DAY, last, fetched_at, status))
    found = of(receipts, by)
    due = by.date() - DAY if hour >= 9 else by.date() - 2 * DAY
    while due.weekday() > 4:
        due -= DAY
    assert found.due == due
    newest = max((r.chunk.last for r in receipts), default=None)
    kept = {
        r.chunk.instrument_key
        for r in receipts
        if any(
            other.chunk.last >= newest - timedelta(days=30)
            for other in receipts
            if other.chunk.instrument_key == r.chunk.instrument_key
        )
    }
    covered = {
        r.chunk.instrument_key
        for r in receipts
        if r.status is not Status.FAILED
        and r.chunk.first <= due <= r.chunk.last
        and r.fetched_at >= ist(due + DAY, 8, 30)
    }
    assert (found.instruments, found.lacking) == (len(kept), len(kept - covered))
    assert found.is_stale == bool(kept - covered or not kept)
    assert sum(int(reason.split()[0]) for reason in found.reasons) == found.lacking


def test_a_friday_is_enough_until_monday_has_settled() -> None:
    friday = MONDAY + 4 * DAY
    held = [receipt(SBIN, MONDAY, friday, ist(friday + DAY, 9))]
    assert not of(held, ist(friday + 3 * DAY, 18)).is_stale  # Monday evening
    found = of(held, ist(friday + 4 * DAY, 18))
    assert found.is_stale
    assert str(found) == (
        "1day: 1 of 1 instrument without Mon 23 Nov 2026 (1 asked up to Fri 20 Nov 2026)"
    )


def test_holidays_are_not_missed_and_special_saturdays_are() -> None:
    friday, saturday = MONDAY + 4 * DAY, MONDAY + 5 * DAY
    held = [receipt(SBIN, MONDAY, MONDAY + 3 * DAY, ist(friday, 9))]
    closed = SessionDays(frozenset(), ((friday, saturday),))
    special = SessionDays(frozenset({saturday}), ((friday, saturday),))
    by = ist(MONDAY + 6 * DAY, 18)
    assert of(held, by).due == friday
    assert not of(held, by, closed).is_stale
    assert of(held, by, special).due == saturday
    assert of(held, by, special).is_stale


def test_the_exchange_s_holiday_is_none_of_another_s() -> None:
    tuesday = MONDAY + DAY
    closed = SessionDays(frozenset(), ((tuesday, tuesday),))
    held = [receipt(key, MONDAY, MONDAY, ist(tuesday, 9)) for key in (SBIN, GOLD)]
    found = of(held, ist(tuesday + DAY, 18), closed)
    assert (found.due, found.instruments, found.lacking) == (MONDAY, 2, 1)


def test_an_answer_from_before_the_bar_had_settled_is_none() -> None:
    found = of([receipt(SBIN, MONDAY, MONDAY, ist(MONDAY + DAY, 6))], ist(MONDAY + DAY, 18))
    assert found.reasons == ("1 asked before it had settled",)


def test_a_dead_letter_is_named_by_its_cause_and_who_has_left_is_not_counted() -> None:
    tuesday, long_ago = MONDAY + DAY, MONDAY - 60 * DAY
    held = [
        receipt(SBIN, MONDAY, MONDAY, ist(tuesday, 9)),
        receipt(INFY, MONDAY, MONDAY, ist(tuesday, 9), Status.FAILED),
        receipt("NSE_EQ|INE000000000", long_ago, long_ago, ist(MONDAY)),
    ]
    found = of(held, ist(tuesday, 18))
    assert (found.instruments, found.lacking, found.reasons) == (2, 1, ("1 failed: timeout",))


# The store and the token


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    path = tmp_path / "config.yaml"
    path.write_text(
        f"store: {tmp_path / 'store'}\nuniverse: {{symbols: [SBIN]}}\ntimeframes: [1day, 1week]\n"
        f"provider: {{token_file: {tmp_path / 'token'}}}\n"
    )
    write_token(tmp_path, {"sub": "AB"})
    return load(path)


def write_token(folder: Path, claims: dict[str, object]) -> None:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    (folder / "token").write_text(f"eyJ0eXAiOiJKV1QifQ.{body}.sig")


def test_a_store_s_health_is_read_from_it(config: RunConfig, tmp_path: Path) -> None:
    tuesday = MONDAY + DAY
    now = ist(tuesday, 21, 30)
    never = look(config, SessionDays(), now)
    assert never.is_stale
    assert [each.lacking for each in never.freshness] == [0, 0]
    assert str(never.freshness[0]) == "1day: never fetched, and Mon 16 Nov 2026 should be there"
    assert not look(config, SessionDays(), now, since=now).is_stale  # its jobs are just new

    weekly = Timeframe.parse("1week")
    answers = [
        receipt(SBIN, MONDAY - 14 * DAY, MONDAY, ist(tuesday, 9)),
        receipt(REFERENCE, MONDAY - 14 * DAY, MONDAY, ist(tuesday, 9)),
        receipt(SBIN, MONDAY - 14 * DAY, MONDAY - DAY, ist(tuesday, 9), timeframe=weekly),
    ]
    StoreWriter(config.store).commit([Delivery(each) for each in answers])
    fresh = look(config, SessionDays(), now)
    assert not fresh.is_stale
    assert list(fresh.events()) == []
    stale = look(config, SessionDays(), now + DAY)
    assert [each.is_stale for each in stale.freshness] == [True, False]
    (event,) = stale.events()
    (again,) = look(config, SessionDays(), now + DAY + timedelta(hours=3)).events()
    assert (event.kind, event.id) == ("stale", again.id)
    assert "2 of 2 instruments without Tue 17 Nov 2026" in event.said
    assert json.loads(json.dumps(stale.describe()))["timeframes"][0]["lacking"] == 2


def test_a_token_is_warned_of_that_ends_before_the_next_run(
    config: RunConfig, tmp_path: Path
) -> None:
    now = ist(MONDAY, 19)
    ends = ist(MONDAY + DAY, 3, 30)
    write_token(tmp_path, {"exp": int(ends.timestamp())})
    found = look(config, SessionDays(), now, since=now)
    assert found.token_ends == ends
    assert found.token_warning == (
        "the token ends Tue 17 Nov 03:30 IST, before the next run (daily, Tue 17 Nov 18:00 IST)"
    )
    (event,) = found.events()
    later = look(config, SessionDays(), ist(MONDAY + DAY, 5), since=now)
    assert later.token_warning is not None
    assert "has ended" in later.token_warning
    assert [each.id for each in later.events()] == [event.id]  # once a token
    (tmp_path / "token").write_text("")
    unreadable = look(config, SessionDays(), now, since=now)
    assert "the token file is empty" in str(unreadable.token_warning)


@settings(max_examples=40)
@given(st.lists(jobs, min_size=1, max_size=3), moments, st.integers(-3_000, 60_000))
def test_the_warning_comes_just_when_a_run_would_find_the_token_ended(
    jobs: list[JobSettings], now: datetime, minutes: int
) -> None:
    ends = (now + timedelta(minutes=minutes)).astimezone(UTC)
    runs = [run for job in jobs for run in [job.when.after(now)]]
    assert (token_warning(ends, jobs, now) is not None) == (ends <= min(runs))
    assert token_warning(None, jobs, now) is None
