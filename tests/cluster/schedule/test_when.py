from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors.market.sessions import IST
from cluster.schedule.when import When
from tests.cluster.schedule.one_by_one import between

moments = st.integers(0, 4 * 365 * 86_400).map(
    lambda second: datetime(2024, 1, 1, tzinfo=IST) + timedelta(seconds=second)
)


def test_a_day_s_and_a_week_s_time_are_india_s() -> None:
    friday = datetime(2026, 11, 27, 12, 30, tzinfo=UTC)  # 18:00 in India
    assert When.parse("daily 18:00").after(friday) == datetime(2026, 11, 28, 18, 0, tzinfo=IST)
    sunday = datetime(2026, 11, 29, 20, 0, tzinfo=IST)
    assert When.parse("weekly Sunday 20:00").after(friday) == sunday
    assert When.parse("weekly sun 20:00").after(friday) == sunday
    assert When.parse("0 20 * * 7").after(friday) == sunday


@st.composite
def fields(draw: st.DrawFn, least: int, most: int) -> tuple[str, set[int]]:
    """A field of cron, and the values it stands for by hand."""
    texts, values = [], set()
    for _ in range(draw(st.integers(1, 3))):
        first, last = sorted(draw(st.tuples(st.integers(least, most), st.integers(least, most))))
        step = draw(st.integers(1, most))
        kind = draw(st.sampled_from(["one", "range", "stepped", "every"]))
        if kind == "one":
            texts.append(str(first))
            values.add(first)
        elif kind == "range":
            texts.append(f"{first}-{last}")
            values.update(range(first, last + 1))
        elif kind == "stepped":
            texts.append(f"{first}-{last}/{step}")
            values.update(range(first, last + 1, step))
        else:
            texts.append(f"*/{step}")
            values.update(range(least, most + 1, step))
    return ",".join(texts), values


@given(fields(0, 59), fields(0, 23), fields(1, 12), fields(0, 7), moments)
def test_the_next_time_is_the_first_minute_that_fits(
    minute: tuple[str, set[int]],
    hour: tuple[str, set[int]],
    month: tuple[str, set[int]],
    weekday: tuple[str, set[int]],
    moment: datetime,
) -> None:
    when = When.parse(f"{minute[0]} {hour[0]} * {month[0]} {weekday[0]}")
    weekdays = {(day - 1) % 7 for day in weekday[1]}  # Python's Monday is 0

    def fits(day: datetime) -> bool:
        return day.month in month[1] and day.weekday() in weekdays

    found = when.after(moment)
    assert found > moment
    assert fits(found)
    assert (found.minute in minute[1], found.hour in hour[1]) == (True, True)
    assert (found.second, found.microsecond) == (0, 0)
    # And none before it: neither earlier on its day, nor on a day between.
    earlier = found - timedelta(minutes=1)
    while earlier > moment and earlier.date() == found.date():
        assert not (earlier.minute in minute[1] and earlier.hour in hour[1])
        earlier -= timedelta(minutes=1)
    last_of_day = datetime(moment.year, moment.month, moment.day, tzinfo=IST).replace(
        hour=max(hour[1]), minute=max(minute[1])
    )
    day = moment if last_of_day > moment else moment + timedelta(days=1)
    while day.date() < found.date():
        assert not fits(day)
        day += timedelta(days=1)


@given(fields(0, 59), fields(0, 23), fields(1, 31), moments)
@example(("0", {0}), ("18", {18}), ("29", {29}), datetime(2025, 3, 1, tzinfo=IST))
def test_written_as_cron_it_is_the_same(
    minute: tuple[str, set[int]],
    hour: tuple[str, set[int]],
    day: tuple[str, set[int]],
    moment: datetime,
) -> None:
    when = When.parse(f"{minute[0]} {hour[0]} {day[0]} * *")
    assert When.parse(when.cron).after(moment) == when.after(moment)
    assert when.after(moment).day in day[1]


def test_between_counts_every_one_up_to_the_end() -> None:
    first = datetime(2026, 11, 20, 18, 0, tzinfo=IST)
    when = When.parse("daily 18:00")
    found = list(between(when, first, first + timedelta(days=3)))
    assert found == [first + timedelta(days=n) for n in (1, 2, 3)]


@pytest.mark.parametrize(
    "text",
    [
        *("", "daily", "daily 25:00", "daily 18:60", "weekly 18:00", "weekly someday 18:00"),
        *("* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8"),
        *("5/10 * * * *", "*/0 * * * *", "9-3 * * * *", "1,,2 * * * *", "*-3 * * * *", "@daily"),
        *(
            "0 18 31 2,4 *",
            "0 18 1 * 1",
            "٣ * * * *",
            "0 18 * * last",
            "0 18 last * *",
            "every day",
        ),
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        When.parse(text)


def test_the_refusal_says_what_to_write() -> None:
    with pytest.raises(ValueError, match=r"'every day' is no time; write `daily 18:00`"):
        When.parse("every day")
    with pytest.raises(ValueError, match="name one of them"):
        When.parse("0 18 1 * mon")
    with pytest.raises(ValueError, match="'0 18 30 feb \\*' never comes"):
        When.parse("0 18 30 feb *")


@given(
    st.sampled_from(["daily 18:00", "*/7 9-15 * 1,2 1-5", "0 0 29 2 *", "15,45 3 1-15 * *"]),
    moments,
    st.integers(-5, 20_000),
)
def test_those_that_passed_are_as_many_as_come_one_after_another(
    text: str, moment: datetime, minutes: int
) -> None:
    when, until = When.parse(text), moment + timedelta(minutes=minutes)
    one_by_one = list(between(when, moment, until))
    expected = (one_by_one[-1], len(one_by_one)) if one_by_one else None
    assert when.passed(moment, until) == expected
