from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from actors.market.sessions import IST
from cluster.config.schedule import JobSettings
from cluster.schedule.agenda import LAST_RETRY_AFTER, Due, again_at, due
from cluster.schedule.record import Outcome, Record
from cluster.schedule.when import When
from tests.cluster.schedule.one_by_one import next_look

BEGAN = datetime(2024, 1, 18, 9, 30, tzinfo=IST)  # a Thursday
MINUTE = timedelta(minutes=1)

whens = st.sampled_from(
    ["daily 18:00", "weekly sunday 20:00", "*/40 9-15 * * 1-5", "0 0 1 * *", "15,45 */7 * 1,3 *"]
).map(When.parse)
looks = st.lists(st.integers(1, 3 * 24 * 60), min_size=1, max_size=6)


def job(when: str, name: str = "daily", **more: float) -> JobSettings:
    return JobSettings(name=name, when=When.parse(when), **more)


def added(name: str = "daily", at: datetime = BEGAN) -> Record:
    return Record(job=name, occasion=at, outcome=Outcome.ADDED)


def failed(record: Record, began: datetime, lasted: timedelta = MINUTE) -> Record:
    return record.begun(began).ended(began + lasted, Outcome.FAILED, "it failed", code=1)


@given(whens, looks)
def test_every_look_is_told_the_latest_occasion_and_how_many_it_stands_for(
    when: When, waits: list[int]
) -> None:
    """Against counting minute by minute, over a machine that looks now and then."""
    settings = JobSettings(name="daily", when=when)
    newest, now = {"daily": added()}, BEGAN
    minute, unheeded = BEGAN, 0
    last: datetime | None = None
    for wait in waits:
        now += wait * MINUTE
        while minute + MINUTE <= now:
            minute += MINUTE
            if fits(when, minute):
                unheeded, last = unheeded + 1, minute
        expected = [] if last is None else [Due(settings, last, unheeded - 1)]
        assert due([settings], newest, now) == expected
        if last is not None:
            newest["daily"] = Record(job="daily", occasion=last, outcome=Outcome.DONE)
            assert due([settings], newest, now) == []
        unheeded, last = 0, None


def fits(when: When, at: datetime) -> bool:
    days = at.day in when.days and at.month in when.months
    weekday = (at.weekday() + 1) % 7 in when.weekdays
    return days and weekday and at.hour in when.hours and at.minute in when.minutes


@given(whens, st.integers(0, 200_000), st.integers(1, 3000))
def test_nothing_comes_due_between_two_looks(when: When, offset: int, wait: int) -> None:
    """The moment to look next is the first at which something is due."""
    settings = JobSettings(name="daily", when=when)
    now = BEGAN + offset * MINUTE
    newest = {"daily": failed(replace(added(at=now), outcome=Outcome.DONE), now - MINUTE)}
    assert due([settings], newest, now) == []
    at = next_look([settings], newest, now)
    assert at > now
    assert due([settings], newest, at)
    between = now + wait * MINUTE
    assert between >= at or not due([settings], newest, between)


@given(st.floats(0, 86_400), st.lists(st.integers(1, 90), min_size=1, max_size=30))
def test_a_failed_one_is_tried_ever_more_seldom_within_its_window(
    retry_for_s: float, minutes: list[int]
) -> None:
    settings = job("weekly sunday 20:00", retry_for_s=retry_for_s)
    occasion = datetime(2024, 1, 21, 20, 0, tzinfo=IST)
    record = Record(job="daily", occasion=occasion, outcome=Outcome.RUNNING)
    began, waits = occasion, []
    for lasted in minutes:
        record = failed(record, began, lasted * MINUTE)
        at = again_at(settings, record)
        if at is None:
            break
        assert record.attempts[-1].ended is not None
        waits.append(at - record.attempts[-1].ended)
        assert at <= occasion + timedelta(seconds=retry_for_s)
        assert due([settings], {"daily": record}, at - MINUTE) == []
        assert due([settings], {"daily": record}, at) == [Due(settings, occasion, 0)]
        began = at
    assert waits == [min(5 * 2**n * MINUTE, LAST_RETRY_AFTER) for n in range(len(waits))]
    total = sum(waits, sum(minutes, 0) * MINUTE)
    if len(waits) == len(minutes):  # its window was not over
        assert total <= timedelta(seconds=retry_for_s)


def test_the_next_occasion_takes_the_place_of_what_failed_before() -> None:
    settings = job("daily 18:00", retry_for_s=86_400)
    monday = datetime(2024, 1, 22, 18, 0, tzinfo=IST)
    record = Record(job="daily", occasion=monday, outcome=Outcome.RUNNING)
    late = failed(record, monday + timedelta(hours=23), timedelta(minutes=56))
    assert again_at(settings, late) is None
    tuesday = monday + timedelta(days=1)
    assert due([settings], {"daily": late}, tuesday) == [Due(settings, tuesday, 0)]


def test_what_a_dead_process_left_is_due_at_once_and_what_was_asked_to_stop_too() -> None:
    settings = job("daily 18:00")
    monday = datetime(2024, 1, 22, 18, 0, tzinfo=IST)
    for outcome in (Outcome.RUNNING, Outcome.INTERRUPTED):
        record = Record(job="daily", occasion=monday, outcome=outcome, missed=2)
        assert due([settings], {"daily": record}, monday + MINUTE) == [Due(settings, monday, 2)]


def test_jobs_come_in_order_of_their_occasions_and_one_nobody_added_not_at_all() -> None:
    daily, weekly = job("daily 18:00"), job("weekly sunday 20:00", "weekly")
    newest = {"daily": added(), "weekly": added("weekly")}
    monday = datetime(2024, 1, 22, 9, 0, tzinfo=IST)
    assert [each.job.name for each in due([weekly, daily], newest, monday)] == ["daily", "weekly"]
    assert due([weekly, daily], {}, monday) == []
