from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from actors.market.chunk import Chunk
from actors.market.timeframe import Timeframe
from actors.writer.occupied import Occupied

DAWN = date(2023, 12, 1)


@st.composite
def chunks(draw):
    first = DAWN + timedelta(days=draw(st.integers(0, 60)))
    last = first + timedelta(days=draw(st.integers(0, 15)))
    label = draw(st.sampled_from(["1day", "5minute", "1week", "1month"]))
    return Chunk(draw(st.sampled_from("AB")), "", Timeframe.parse(label), first, last)


def labels(chunk):
    """Every day a bar of the chunk may be labelled with, one by one."""
    span = range((chunk.last - chunk.first).days + 1)
    days = [chunk.first + timedelta(days=n) for n in span]
    bars = [chunk.timeframe.bar_days(day) for day in days]
    return {
        (chunk.instrument_key, chunk.timeframe.label, first + timedelta(days=n))
        for first, last in bars
        for n in range((last - first).days + 1)
    }


@given(st.lists(chunks(), max_size=20), chunks())
def test_overlaps_says_what_a_set_of_days_says(added, asked):
    """Spans in any order, touching, nested or apart; other series never count."""
    occupied = Occupied()
    taken = set()
    for chunk in added:
        occupied.add(chunk)
        taken |= labels(chunk)
    assert occupied.overlaps(asked) == bool(taken & labels(asked))
