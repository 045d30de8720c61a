from __future__ import annotations

from datetime import date, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from actors.market.session_days import SessionDays
from actors.market.sessions import IST
from actors.market.timeframe import Timeframe
from cluster.coverage import united
from cluster.schedule.need import need, unanswered

DAY = timedelta(days=1)
FIRST = date(2024, 1, 15)  # a Monday
DAILY, MINUTES, WEEKLY = map(Timeframe.parse, ("1day", "5minute", "1week"))
SPAN_DAYS = 20

offsets = st.integers(0, SPAN_DAYS - 1)
moments = st.builds(
    lambda day, hour: datetime.combine(FIRST + day * DAY, time(hour, 45), IST),
    st.integers(1, SPAN_DAYS),
    st.integers(0, 23),
)
keys = st.sampled_from(["NSE_EQ|A", "NSE_EQ|B", "BSE_EQ|C", "MCX_FO|1"])
series = st.tuples(keys, st.sampled_from([DAILY, MINUTES, WEEKLY]))


@st.composite
def spans(draw: st.DrawFn) -> tuple[date, date]:
    first, last = sorted((draw(offsets), draw(offsets)))
    return FIRST + first * DAY, FIRST + last * DAY


@st.composite
def answers(draw: st.DrawFn) -> tuple[date, date, datetime]:
    first, last = draw(spans())
    return first, last, draw(moments)


calendars = st.dictionaries(offsets, st.booleans()).map(
    lambda told: SessionDays(
        frozenset(FIRST + n * DAY for n, is_open in told.items() if is_open),
        tuple((FIRST + n * DAY, FIRST + n * DAY) for n in sorted(told)),
    )
)


@given(
    st.dictionaries(series, st.lists(spans(), min_size=1, max_size=2), max_size=5),
    st.dictionaries(series, st.lists(answers(), max_size=3)),
    calendars,
    moments,
)
def test_what_is_to_be_asked_is_what_counting_the_days_one_by_one_says(
    wanted: dict[tuple[str, Timeframe], list[tuple[date, date]]],
    held: dict[tuple[str, Timeframe], list[tuple[date, date, datetime]]],
    calendar: SessionDays,
    now: datetime,
) -> None:
    by_label = {(key, frame.label): sorted(given) for (key, frame), given in held.items()}
    in_spans = {
        of: united((first.toordinal(), last.toordinal()) for first, last in each)
        for of, each in wanted.items()
    }
    found = need(unanswered(in_spans, by_label, now), by_label, calendar)
    sure, doubtful, unknown = set(), set(), set()
    for of, each in wanted.items():
        missing = {day for day in days(each) if lacks(of[1], day, held.get(of, []), now)}
        told = {day: calendar.had_session(day) for day in missing}
        is_sure = not held.get(of) or of[0].startswith("MCX") or True in told.values()
        if missing and is_sure:
            sure.add(of)
        elif None in told.values():
            doubtful.add(of)
            unknown |= {day for day, was_open in told.items() if was_open is None}
    assert found.series == sure | doubtful
    if len(doubtful) > 1:
        assert found.unknown == (min(unknown), max(unknown))
    else:
        assert found.unknown is None


def days(each: list[tuple[date, date]]) -> list[date]:
    return [f + n * DAY for f, last in each for n in range((last - f).days + 1)]


def lacks(
    timeframe: Timeframe, day: date, given: list[tuple[date, date, datetime]], now: datetime
) -> bool:
    """Whether the day, or its bar, is served for certain, and no answer since then covers it whole."""
    for begin, end in {(day, day), timeframe.bar_days(day)}:
        served = datetime.combine(end + DAY, time(8, 30), IST)
        covered = any(first <= begin and end <= last and at >= served for first, last, at in given)
        if served <= now and not covered:
            return True
    return False


def test_a_closed_weekend_is_told_in_words() -> None:
    friday = date(2024, 1, 19)
    at = datetime(2024, 1, 20, 18, 0, tzinfo=IST)
    held = {("NSE_EQ|A", "1day"): [(FIRST, friday, at)]}
    wanted = {("NSE_EQ|A", DAILY): ((FIRST.toordinal(), FIRST.toordinal() + 8),)}
    calendar = SessionDays(frozenset({friday}), ((FIRST, date(2024, 1, 22)),))
    tuesday = datetime(2024, 1, 23, 18, 0, tzinfo=IST)
    found = need(unanswered(wanted, held, tuesday), held, calendar)
    assert not found.series
    assert found.reason == "no session since Fri 19 Jan: Sat 20 Jan, Sun 21 Jan, Mon 22 Jan closed"
    assert (
        need(unanswered(wanted, held, at), held, calendar).reason == "all that has settled is there"
    )
