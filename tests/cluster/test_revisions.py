from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.market.chunk import Chunk, Receipt, Status
from actors.market.instrument import Instrument
from actors.market.sessions import IST
from actors.market.timeframe import Timeframe
from actors.writer.coverage import held
from actors.writer.receipts import receipts_table
from cluster.plan import Want, plan
from cluster.revisions import Revisions

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
NOW = datetime(2026, 11, 19, 12, tzinfo=IST)
FIRST, LAST = date(2026, 6, 1), date(2026, 11, 18)
WANTS = [
    Want(Instrument(f"NSE_EQ|{name}", name, "NSE", "NSE_EQ", "EQ"), Timeframe.parse(label), FIRST)
    for name in "AB"
    for label in ("5minute", "1day")
]


def days_of(chunks):
    found = defaultdict(list)
    for chunk in chunks:
        span = (chunk.last - chunk.first).days + 1
        found[chunk.instrument_key, chunk.timeframe.label] += [
            chunk.first + n * DAY for n in range(span)
        ]
    return found


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_a_rewritten_instrument_is_fetched_whole_and_no_day_of_it_twice(data):
    """What the plan asks anyway, with what is asked again: every wanted day, once; of nobody else."""
    done = [c for c in plan(WANTS, {}, NOW - 9 * DAY).chunks if data.draw(st.booleans())]
    held = defaultdict(list)
    for chunk in done:
        series = chunk.instrument_key, chunk.timeframe.label
        held[series].append((chunk.first, chunk.last, NOW - 9 * DAY))
    planned = plan(WANTS, held, NOW).chunks
    revisions = Revisions(WANTS, planned, NOW)
    again = revisions.again("NSE_EQ|A")
    assert {chunk.instrument_key for chunk in again} <= {"NSE_EQ|A"}
    mine = days_of([c for c in planned if c.instrument_key == "NSE_EQ|A"] + list(again))
    for label in ("5minute", "1day"):
        found = mine["NSE_EQ|A", label]
        assert sorted(found) == [FIRST + n * DAY for n in range((LAST - FIRST).days + 1)]
    assert revisions.again("NSE_EQ|A") == ()
    assert revisions.again("NSE_EQ|nobody") == ()


def test_what_a_run_fetched_itself_is_not_fetched_again_by_the_next():
    """Its answers are of the morning after the rewriting, those before the one that shows it too."""
    before = NOW - DAY
    daily = WANTS[1]
    fresh = [Want(daily.instrument, Timeframe.parse("1minute"), FIRST), daily]
    old = Chunk("NSE_EQ|A", "A", daily.timeframe, FIRST, LAST - DAY)
    told = [answered(old, before)]
    planned = plan(fresh, held(receipts_table(told)), NOW).chunks
    assert [c.timeframe.label for c in planned] == ["1minute"] * 6 + ["1day"]
    told += [answered(c, NOW + n * SECOND) for n, c in enumerate(planned)]
    told[-1] = replace(told[-1], revised=9, ratio=0.5, outdates=before)
    again = Revisions(fresh, planned, NOW).again("NSE_EQ|A")
    told += [answered(c, NOW + 20 * SECOND) for c in again]
    table = receipts_table(told)
    assert plan(fresh, held(table), NOW + 60 * SECOND).chunks == ()
    assert held(table)["NSE_EQ|A", "1day"][0][2] > before  # but what was fetched before is stale


def answered(chunk, at):
    return Receipt(chunk=chunk, status=Status.STORED, run_id="r", fetched_at=at, attempts=1)
