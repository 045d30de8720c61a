"""Who is whole, by counting, is who is whole day by day."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from actors.market.chunk import Chunk
from actors.market.timeframe import Timeframe
from cluster.screen.owed import Owed
from tests.cluster.screen.stored import key_of

LABELS = ("1day", "15minute")
FIRST = date(2024, 1, 1)
SPAN = 4  # days of a chunk at the most

Series = tuple[str, str]


def days_of(chunk: Chunk) -> set[tuple[str, str, date]]:
    count = (chunk.last - chunk.first).days + 1
    days = (chunk.first + timedelta(n) for n in range(count))
    return {(chunk.instrument_key, chunk.timeframe.label, day) for day in days}


@st.composite
def plans(draw: st.DrawFn) -> list[Chunk]:
    """Chunks of a few instruments and timeframes, none of them over another."""
    chunks = []
    for symbol in "ABC":
        for label in (*LABELS, "1week"):
            first = FIRST
            for length in draw(st.lists(st.integers(1, SPAN), max_size=3)):
                last = first + timedelta(length - 1)
                chunks.append(Chunk(key_of(symbol), symbol, Timeframe.parse(label), first, last))
                first = last + timedelta(draw(st.integers(1, 3)))
    return draw(st.permutations(chunks))


@given(plans(), plans(), st.data())
def test_an_instrument_is_whole_once_no_day_of_it_is_to_come(plan, more, data):
    """In whatever order answers come, in halves where that is asked, and with more to fetch meanwhile."""
    owed = Owed(LABELS, plan)
    to_come, waiting = list[set](map(days_of, plan)), list(plan)
    at = data.draw(st.integers(0, len(plan)))
    for step in range(10_000):
        still = {key for days in to_come for key, label, _ in days if label in LABELS}
        assert {key_of(s) for s in "ABC" if key_of(s) in owed} == still
        if step == at:
            told = owed.add(more)
            assert told == {c.instrument_key for c in more if c.timeframe.label in LABELS}
            to_come, waiting = to_come + [days_of(c) for c in more], waiting + list(more)
        if not waiting:
            break
        chunk = waiting.pop(data.draw(st.integers(0, len(waiting) - 1)))
        halves = chunk.halves() if data.draw(st.booleans()) else None
        if halves is None:
            owed.settle([chunk])
            to_come.remove(days_of(chunk))
        else:
            waiting += halves
            to_come.remove(days_of(chunk))
            to_come += map(days_of, halves)


def test_whose_bars_are_computed_at_the_end_is_not_whole_before():
    owed = Owed(LABELS, [], late={key_of("A")})
    assert key_of("A") in owed
    assert key_of("B") not in owed
