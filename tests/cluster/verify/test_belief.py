"""What answers are worth: one, two that agree, an empty one, a garbled one, one that lacks what stands."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from actors.market.chunk import Chunk, Status
from actors.market.session_days import REFERENCE
from actors.market.timeframe import Timeframe
from actors.writer.reading import Store
from actors.writer.store import StoreWriter
from cluster.exit import Exit
from cluster.verify.job import verify_store
from cluster.verify.judgement import Grade, Reason
from cluster.verify.repair import repair
from cluster.verify.report import as_dict, screens
from cluster.verify.verification import verify
from tests.cluster.verify.conftest import (
    CIPLA,
    FIRST,
    LAST,
    NOW,
    SBIN,
    Filling,
    delivery,
    fill,
    wants,
)
from tests.cluster.verify.test_verification import found_in


def test_what_lacks_by_one_answer_is_believed_by_two(tmp_path):
    """Of a thin share nothing but daily bars: its silent days are asked for once more, and no more."""
    uri = fill(str(tmp_path / "store"), Filling(), keys=[CIPLA, REFERENCE], labels=["1day"])
    some = wants([CIPLA], ["1day"])
    first = verify(Store(uri), some, NOW)
    (verdict,) = first.verdicts
    assert {gap.reason for gap in verdict.gaps} == {Reason.UNCONFIRMED}
    assert verdict.sessions(Grade.UNCONFIRMED) == verdict.due - verdict.there > 5
    assert verdict.sessions(Grade.GAPS) == 0
    plan = repair(first)
    assert len(plan.chunks) == 1, "one request holds them all"
    StoreWriter(uri).commit([delivery(chunk, at=NOW) for chunk in plan.chunks])
    (verdict,) = verify(Store(uri), some, NOW + timedelta(hours=1)).verdicts
    assert verdict.gaps == ()
    assert verdict.explained == {Reason.NO_TRADE: verdict.due - verdict.there}


def test_one_empty_answer_inside_a_shares_life_is_believed_no_more_than_any_other(tmp_path):
    uri, daily = str(tmp_path / "store"), Timeframe.parse("1day")
    january = Chunk(SBIN, SBIN, daily, date(2024, 1, 1), date(2024, 1, 31))
    around = [(FIRST, date(2023, 12, 31)), (date(2024, 2, 1), LAST)]
    rest = [Chunk(SBIN, SBIN, daily, *span) for span in around]
    StoreWriter(uri).commit([*Filling().deliveries([REFERENCE], ["1day"]), *map(delivery, rest)])
    for night, sessions in enumerate([{Reason.UNCONFIRMED: 22}, {}]):
        StoreWriter(uri).commit([delivery(january, "empty", NOW + timedelta(days=night))])
        found = verify(Store(uri), wants([SBIN], ["1day"]), NOW + timedelta(days=2))
        assert {g.reason: g.sessions for v in found.verdicts for g in v.gaps} == sessions
    assert found.verdicts[0].explained == {Reason.NO_TRADE: 22}


def test_an_answer_of_which_rows_were_put_aside_vouches_for_no_missing_bar(tmp_path):
    """Until a sound one tells; where five sessions lack, nobody guesses that there was no trade."""
    week = [date(2024, 1, day) for day in (15, 16, 17, 18, 19)]
    chunk = Chunk(SBIN, SBIN, Timeframe.parse("1day"), FIRST, LAST)
    garbled = delivery(chunk, week)
    garbled = replace(garbled, receipt=replace(garbled.receipt, quarantined=5))
    uri = fill(str(tmp_path / "store"), Filling(), keys=[REFERENCE], labels=["1day"])
    StoreWriter(uri).commit([garbled])
    some = wants([SBIN], ["1day"])
    assert found_in(uri, some) == [(SBIN, "1day", Reason.GARBLED, week[0], week[-1], 5)]
    assert verify_store(Store(uri), None, None).exit() is Exit.INCOMPLETE
    StoreWriter(uri).commit([delivery(chunk, week, NOW)])
    assert [gap[2] for gap in found_in(uri, some)] == [Reason.UNCONFIRMED]
    (told,) = (s for s in screens(verify(Store(uri), some, NOW)) if "single answer" in str(s))
    assert "likely" not in str(told)


@pytest.mark.parametrize("lacks", [[date(2024, 1, day) for day in range(10, 20)], "empty"])
def test_bars_that_stand_and_that_the_last_answer_lacks_are_told(tmp_path, lacks):
    """Each by itself, and those alone are asked for: they count again once an answer brings them."""
    uri = fill(str(tmp_path / "store"), Filling(), keys=[SBIN, REFERENCE], labels=["1day"])
    some = wants([SBIN], ["1day"])
    january = Chunk(SBIN, SBIN, Timeframe.parse("1day"), date(2024, 1, 1), date(2024, 1, 31))
    StoreWriter(uri).commit([delivery(january, lacks, NOW)])
    doubted = Store(uri).candles(symbols=SBIN, first="2024-01-01", last="2024-01-31").to_arrow()
    days = doubted.filter(pc.invert(doubted["final"]))["date"].to_pylist()
    (gap,) = (gap for v in verify(Store(uri), some, NOW).verdicts for gap in v.gaps)
    assert len(days) == (22 if lacks == "empty" else 8)
    assert (gap.reason, gap.first, gap.last) == (Reason.FAILED, days[0], days[-1])
    assert f"lacks {len(days)} candles that stand" in gap.note
    (chunk,) = repair(verify(Store(uri), some, NOW)).chunks
    assert (chunk.first, chunk.last) == (days[0], days[-1])
    StoreWriter(uri).commit([delivery(chunk, at=NOW + timedelta(hours=1))])
    assert found_in(uri, some, NOW + timedelta(hours=2)) == []


def test_what_two_answers_took_away_is_not_lost(tmp_path):
    """One by one within days, and all of a span; the receipts of longer spans count them still."""
    uri = fill(
        str(tmp_path / "store"), Filling(), keys=[SBIN, REFERENCE], labels=["1day", "5minute"]
    )
    some = wants([SBIN], ["1day", "5minute"])
    assert not verify(Store(uri), some, NOW).grade
    days = date(2024, 1, 15), date(2024, 1, 19)
    both = [Chunk(SBIN, SBIN, Timeframe.parse(label), *days) for label in ("1day", "5minute")]
    for night in range(2):
        at = NOW + timedelta(days=night)
        empty = delivery(both[0], "empty", at)
        thinner = delivery(both[1], at=at)
        rows = thinner.candles.take([*range(0, thinner.candles.num_rows, 2)])
        thinner = replace(thinner, receipt=replace(thinner.receipt, rows=len(rows)), candles=rows)
        told = StoreWriter(uri).commit([empty, thinner]).receipts
    assert [receipt.status for receipt in told] == [Status.EMPTY, Status.STORED]
    assert [receipt.revised for receipt in told] == [5, 187]
    verdicts = verify(Store(uri), some, NOW + timedelta(days=2)).verdicts
    assert not [g for v in verdicts for g in v.gaps if g.reason is Reason.LOST]


def test_what_two_answers_took_away_is_not_lost_though_the_second_failed_for_more(tmp_path):
    """The 15th goes by the word of both; the 17th, which only the second lacks, is kept in doubt."""
    uri = fill(str(tmp_path / "store"), Filling(), keys=[SBIN, REFERENCE], labels=["1day"])
    january = Chunk(SBIN, SBIN, Timeframe.parse("1day"), date(2024, 1, 1), date(2024, 1, 31))
    fifteenth, seventeenth = date(2024, 1, 15), date(2024, 1, 17)
    for night, lacks in enumerate([[fifteenth], [fifteenth, seventeenth]]):
        some = delivery(january, lacks, NOW + timedelta(days=night))
        (told,) = StoreWriter(uri).commit([some]).receipts
    assert (told.status, told.revised) == (Status.FAILED, 1)
    found = found_in(uri, wants([SBIN], ["1day"]), NOW + timedelta(days=2))
    assert not [gap for gap in found if gap[2] is Reason.LOST]
    DeltaTable(f"{uri}/candles").delete(f"instrument_key = '{SBIN}' AND date = '2024-01-18'")
    found = found_in(uri, wants([SBIN], ["1day"]), NOW + timedelta(days=2))
    assert [gap[2] for gap in found if date(2024, 1, 18) in gap[3:5]] == [Reason.LOST]


def test_what_one_answer_lacks_fails_only_the_strict(tmp_path):
    """A thin share's silent days are told, and no alarm; beside a true gap they do not hide it."""
    uri = fill(str(tmp_path / "store"), Filling(), keys=[CIPLA, REFERENCE], labels=["1day"])
    mild = verify_store(Store(uri), None, None)
    assert (mild.found.grade, mild.exit()) == (Grade.UNCONFIRMED, Exit.DONE)
    assert mild.exit(strict=True) is Exit.INCOMPLETE
    told = as_dict(mild.found)
    assert (told["complete"], told["unconfirmed"], told["with_gaps"]) == (1, 1, 0)
    assert told["gaps"] == []
    assert {each["reason"] for each in told["single_answers"]} == {"unconfirmed"}
    assert "1 complete + 1 unconfirmed + 0 with gaps = 2 instruments." in screens(mild.found)

    DeltaTable(f"{uri}/candles").delete(f"period = '2024' AND instrument_key = '{CIPLA}'")
    lost = verify_store(Store(uri), None, None)
    assert (lost.found.grades, lost.exit()) == (
        {CIPLA: Grade.GAPS, REFERENCE: Grade.COMPLETE},
        Exit.INCOMPLETE,
    )
