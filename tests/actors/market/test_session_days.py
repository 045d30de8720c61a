from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.market.session_days import SessionDays, follows_reference

DAY = timedelta(days=1)
SPAN = [date(2024, 1, 1) + n * DAY for n in range(40)]

days = st.sampled_from(SPAN)


@given(st.sets(days), st.lists(st.integers(1, 6), max_size=8))
def test_a_day_is_open_closed_or_unknown_and_nothing_is_guessed(sessions, lengths):
    """Spans of known and unknown days in turn; a session needs no span to be one."""
    known, first = [], SPAN[0]
    for place, length in enumerate(lengths):
        if place % 2:
            known.append((first, first + (length - 1) * DAY))
        first += length * DAY
    calendar = SessionDays(frozenset(sessions), tuple(known))
    for day in SPAN:
        inside = any(a <= day <= b for a, b in known)
        expected = True if day in sessions else False if inside else None
        assert calendar.had_session(day) is expected
    assert calendar.within(SPAN[3], SPAN[20]) == [d for d in SPAN[3:21] if d in sessions]
    assert calendar.holidays(SPAN[0], SPAN[-1]) == [
        day for day in SPAN if calendar.had_session(day) is False and day.isoweekday() < 6
    ]


@pytest.mark.parametrize(
    ("key", "follows"),
    [("NSE_EQ|INE062A01020", True), ("BSE_INDEX|SENSEX", True), ("MCX_FO|1", False)],
)
def test_whose_sessions_the_reference_tells(key, follows):
    assert follows_reference(key) is follows
