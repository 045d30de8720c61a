from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from actors.market.chunk import Chunk, Receipt, Status
from actors.market.timeframe import Timeframe
from actors.writer.coverage import dead_letters, held, latest, rewritten
from actors.writer.receipts import receipts_table

DAWN = date(2024, 1, 1)
DAY = Timeframe.parse("1day")


@st.composite
def histories(draw):
    """Receipts in the order they were written."""
    written = []
    for place in range(draw(st.integers(0, 14))):
        first = DAWN + timedelta(draw(st.integers(0, 8)))
        last = first + timedelta(draw(st.integers(0, 4)))
        chunk = Chunk(draw(st.sampled_from("AB")), "S", DAY, first, last)
        at = datetime(2024, 6, 1, tzinfo=UTC) + timedelta(seconds=place)
        status = draw(st.sampled_from(Status))
        receipt = Receipt(chunk=chunk, status=status, run_id=str(place), fetched_at=at)
        if status is Status.STORED and draw(st.integers(0, 4)) == 0:
            before = timedelta(seconds=draw(st.integers(1, 14)))
            receipt = replace(receipt, revised=1, outdates=at - before)
        written.append(receipt)
    return written


def days(chunk):
    return {chunk.first + timedelta(n) for n in range((chunk.last - chunk.first).days + 1)}


@given(histories(), st.randoms())
def test_dead_letters_are_failures_that_nothing_answered_since(written, chance):
    """Day by day: whole spans, halves and other spans count alike; rows may stand in any order."""
    expected = []
    for place, receipt in enumerate(written):
        after = [
            r
            for r in written[place + 1 :]
            if r.chunk.instrument_key == receipt.chunk.instrument_key
        ]
        answered = set().union(*(days(r.chunk) for r in after if r.status is not Status.FAILED))
        again = any(r.chunk == receipt.chunk for r in after)
        if receipt.status is Status.FAILED and not again and not days(receipt.chunk) <= answered:
            expected.append(receipt.run_id)
    shuffled = chance.sample(written, len(written))
    found = dead_letters(receipts_table(shuffled))
    assert sorted(found["run_id"].to_pylist()) == sorted(expected)


@given(histories(), st.randoms())
def test_held_are_the_answered_spans_with_their_newest_time(written, chance):
    """Stored and empty ones alike, failed ones not; nor what was stored before a rewriting."""
    table = receipts_table(chance.sample(written, len(written)))
    since = rewritten(table)
    for stale_too in (False, True):
        newest = {}
        for r in written:
            key = r.chunk.instrument_key
            is_stale = r.status is Status.STORED and key in since and r.fetched_at < since[key]
            if r.status is not Status.FAILED and (stale_too or not is_stale):
                newest[key, r.chunk.first, r.chunk.last] = r.fetched_at
        found = held(table, stale_too=stale_too)
        flat = {(key, *span[:2]): span[2] for (key, _), spans in found.items() for span in spans}
        assert flat == newest
        assert all(spans == sorted(spans) for spans in found.values())


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(1, 6)), max_size=6))
def test_history_counts_from_the_last_of_the_fewest_moments_that_explain_all_revisions(found):
    """Each contradicts what was told up to an hour, so it happened after that, up to its own.

    Or up to the morning, the third hour, where it may have happened overnight.
    """
    told_at = sorted({(low, low + after) for low, after in found}, key=lambda mark: mark[1])
    marks = [(low, 3 if low < 3 <= seen else seen) for low, seen in told_at]
    at = [datetime(2024, 6, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(18)]
    chunk = Chunk("A", "S", DAY, DAWN, DAWN)
    told = [
        Receipt(
            chunk=chunk, status=Status.STORED, run_id="r", fetched_at=at[seen], outdates=at[low]
        )
        for low, seen in told_at
    ]
    moments = sorted({seen for _, seen in marks})
    for count in range(len(moments) + 1):
        explaining = [
            some
            for some in combinations(moments, count)
            if all(any(low < moment <= seen for moment in some) for low, seen in marks)
        ]
        if explaining:
            break
    expected = {"A": at[max(some[-1] for some in explaining)]} if marks else {}
    assert rewritten(receipts_table(told)) == expected


def test_what_was_fetched_before_a_rewriting_is_no_longer_held():
    """In any timeframe; what is known to be empty is, and what was fetched since."""
    at = [datetime(2024, 6, 1 + day, tzinfo=UTC) for day in range(4)]

    def receipt(label, first, status, when, **facts):
        chunk = Chunk(
            "A", "S", Timeframe.parse(label), DAWN + timedelta(first), DAWN + timedelta(first)
        )
        return Receipt(chunk=chunk, status=status, run_id="r", fetched_at=when, **facts)

    told = [
        receipt("1day", 0, Status.EMPTY, at[0]),
        receipt("1day", 1, Status.STORED, at[0]),
        receipt("5minute", 1, Status.STORED, at[1]),
        receipt("1day", 2, Status.STORED, at[2], revised=5, ratio=0.5, outdates=at[0]),
        receipt("5minute", 2, Status.STORED, at[3], revised=5, ratio=0.5, outdates=at[1]),
    ]
    table = receipts_table(told)
    assert rewritten(table) == {"A": at[2]}

    def numbers(found):
        return {
            label: [(f - DAWN).days for f, _, _ in spans] for (_, label), spans in found.items()
        }

    assert numbers(held(table)) == {"1day": [0, 2], "5minute": [2]}
    assert numbers(held(table, stale_too=True)) == {"1day": [0, 1, 2], "5minute": [1, 2]}


@given(histories(), st.randoms())
def test_latest_is_one_receipt_for_each_chunk(written, chance):
    """The newest."""
    newest = {r.chunk.id: r.run_id for r in written}
    found = latest(receipts_table(chance.sample(written, len(written))))
    pairs = zip(found["chunk_id"].to_pylist(), found["run_id"].to_pylist(), strict=True)
    assert sorted(pairs) == sorted(newest.items())
