from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.market.chunk import Cause, Chunk, Receipt, Status
from actors.market.instrument import Instrument
from actors.market.session_days import REFERENCE
from actors.market.sessions import IST
from actors.market.timeframe import Timeframe
from actors.writer.coverage import held
from actors.writer.receipts import receipts_table
from cluster.derived import MINUTE, due, is_derived, to_ask
from cluster.plan import Want, plan, wanted_days

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 19, 12, tzinfo=IST)  # a Thursday
FIRST = date(2026, 11, 1)
SPAN = [FIRST + n * DAY for n in range(20)]
FIVE, HOUR = Timeframe.parse("5minute"), Timeframe.parse("1hour")


def instrument(key):
    return Instrument(key, key, "", key.partition("|")[0], "")


keys = st.sampled_from(["NSE_EQ|A", "BSE_EQ|B", "NSE_COM|C", REFERENCE])
labels = st.sampled_from(["1minute", "5minute", "7minute", "1hour", "1day", "1week"])
ends = st.tuples(*[st.sampled_from(SPAN)] * 2).map(sorted)
wants = st.lists(
    st.builds(
        lambda key, label, days: Want(instrument(key), Timeframe.parse(label), *days),
        keys,
        labels,
        ends | st.just((None, None)),
    ),
    max_size=6,
)


def days_of(some):
    return {
        (key, timeframe, date.fromordinal(day))
        for (key, timeframe), spans in wanted_days(some, NOW).items()
        for first, last in spans
        for day in range(first, last + 1)
    }


@given(wants)
def test_minutes_are_asked_in_the_place_of_what_is_made_of_them_and_nothing_else_changes(some):
    """For the very same days; and the reference's own where it must be known when sessions opened."""
    expected = set()
    for key, timeframe, day in days_of(some):
        usual = key.startswith("NSE_COM") or not timeframe.is_intraday or timeframe == MINUTE
        expected.add((key, timeframe if usual else MINUTE, day))
        if not usual and 15 % timeframe.minutes:
            expected.add((REFERENCE, MINUTE, day))
    assert days_of(to_ask(some, NOW)) == expected


def test_five_timeframes_for_the_requests_of_one():
    """Of a year: twelve months of minutes, not twelve of 5 minutes, twelve of 15, and so on."""
    frames = ["1day", "5minute", "15minute", "30minute", "1hour"]
    some = [
        Want(
            instrument(f"NSE_EQ|{n}"), Timeframe.parse(label), date(2025, 1, 1), date(2025, 12, 31)
        )
        for n in range(10)
        for label in frames
    ]
    assert plan(some, {}, NOW).requests == 10 * (1 + 12 + 12 + 4 + 4)
    assert plan(to_ask(some, NOW), {}, NOW).requests == 10 * (1 + 12) + 12


def receipts_of(draw):
    """Of minutes, longer bars, the reference's minutes: answers and failures, asked and derived."""
    found = []
    for key, timeframe in [("NSE_EQ|A", t) for t in (MINUTE, FIVE, HOUR)] + [(REFERENCE, MINUTE)]:
        for _ in range(draw.choice([0, 1, 2, 3])):
            first, last = sorted(draw.choices(SPAN, k=2))
            at = NOW - timedelta(seconds=draw.randrange(20 * 86_400))
            status = draw.choices(list(Status), weights=[6, 2, 1])[0]
            found.append(
                Receipt(
                    chunk=Chunk(key, key, timeframe, first, last),
                    status=status,
                    run_id="r",
                    fetched_at=at,
                    attempts=0 if timeframe != MINUTE and draw.random() < 0.7 else 1,
                    cause=Cause.VANISHED if status is Status.FAILED else None,
                )
            )
    return found


def newest(receipts, key, timeframe, day):
    """When the newest answer for the day was given; a refused computation is one, too."""
    mine = [r for r in receipts if (r.chunk.instrument_key, r.chunk.timeframe) == (key, timeframe)]
    return max(
        (
            r.fetched_at
            for r in mine
            if r.chunk.first <= day <= r.chunk.last
            and (r.status is not Status.FAILED or (timeframe != MINUTE and not r.attempts))
        ),
        default=None,
    )


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_due_is_what_the_minutes_know_better_and_nothing_once_it_is_made(seed, today):
    draw = Random(seed)
    receipts = receipts_of(draw)
    some = [
        Want(instrument("NSE_EQ|A"), timeframe, *sorted(draw.choices(SPAN, k=2)))
        for timeframe in (FIVE, HOUR)
    ]
    found = defaultdict(dict)
    for one in due_now(some, receipts, today):
        day = one.chunk.first
        while day <= one.chunk.last:
            assert day not in found[one.chunk.timeframe], "a day twice"
            found[one.chunk.timeframe][day] = one.fetched_at
            day += DAY
    for want in some:
        expected = {}
        for day in SPAN:
            until = NOW.date() if today else NOW.date() - DAY
            minutes = newest(receipts, "NSE_EQ|A", MINUTE, day)
            made = newest(receipts, "NSE_EQ|A", want.timeframe, day)
            is_open = want.timeframe == FIVE or newest(receipts, REFERENCE, MINUTE, day)
            wanted = want.first <= day <= min(want.last, until)
            if wanted and minutes and is_open and (made is None or made < minutes):
                expected[day] = minutes
        assert found[want.timeframe] == expected
    made = [
        Receipt(chunk=one.chunk, status=Status.STORED, run_id="r", fetched_at=one.fetched_at)
        for one in due_now(some, receipts, today)
    ]
    assert due_now(some, [*receipts, *made], today) == []


def due_now(some, receipts, today):
    table = receipts_table(receipts)
    return due(some, table, held(table), NOW, today=today)


def test_days_in_a_row_of_one_answer_are_one_chunk():
    """So that its receipt tells when its minutes were fetched."""
    answers = [
        Receipt(
            chunk=Chunk("NSE_EQ|A", "A", MINUTE, *days),
            status=Status.STORED,
            run_id="r",
            fetched_at=at,
            attempts=1,
        )
        for days, at in [((SPAN[0], SPAN[9]), NOW - 2 * DAY), ((SPAN[8], SPAN[12]), NOW - DAY)]
    ]
    found = due_now([Want(instrument("NSE_EQ|A"), FIVE, SPAN[2], SPAN[15])], answers, today=False)
    assert [(o.chunk.first, o.chunk.last, o.fetched_at) for o in found] == [
        (SPAN[2], SPAN[7], NOW - 2 * DAY),
        (SPAN[8], SPAN[12], NOW - DAY),
    ]


def test_only_longer_intraday_bars_of_known_exchanges_are_derived():
    labels = ["1minute", "2minute", "300minute", "5hour", "1day", "1week", "1month"]
    told = [is_derived(Want(instrument("NSE_EQ|A"), Timeframe.parse(label))) for label in labels]
    assert told == [False, True, True, True, False, False, False]
    assert not is_derived(Want(instrument("MCX_FO|1"), FIVE))
