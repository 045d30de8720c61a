"""Real stores of real sessions: a whole one is complete, one with holes has exactly those."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, time, timedelta

import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from actors.market.chunk import Chunk
from actors.market.session_days import REFERENCE
from actors.market.sessions import IST
from actors.market.timeframe import Timeframe
from actors.writer.coverage import held
from actors.writer.reading import Store
from actors.writer.store import StoreWriter
from cluster.exit import Exit
from cluster.plan import plan
from cluster.verify.job import verify_store
from cluster.verify.judgement import Grade, Reason
from cluster.verify.repair import repair
from cluster.verify.verification import verify
from tests.cluster.verify.conftest import (
    BSE,
    CIPLA,
    FIRST,
    INFY,
    KEYS,
    LAST,
    LATE,
    NOW,
    RELIANCE,
    SBIN,
    Filling,
    delivery,
    fill,
    wants,
)


def found_in(uri, some=None, now=NOW):
    """Every gap as (instrument, timeframe, reason, first, last, sessions)."""
    verification = verify(Store(uri), wants() if some is None else some, now)
    return sorted(
        (v.instrument.instrument_key, str(v.timeframe), g.reason, g.first, g.last, g.sessions)
        for v in verification.verdicts
        for g in v.gaps
    )


def test_a_whole_store_is_complete_though_thin_shares_lack_days_and_minutes(whole):
    """Holidays, weekend sessions, an evening of Diwali and late listings cry no wolf."""
    verification = verify(Store(whole), wants(), NOW)
    assert [gap for verdict in verification.verdicts for gap in verdict.gaps] == []
    assert verification.grade is Grade.COMPLETE
    of = {(v.instrument.instrument_key, str(v.timeframe)): v for v in verification.verdicts}
    assert len(of) == len(KEYS) * 3
    assert of[CIPLA, "1day"].explained[Reason.NO_TRADE] > 5
    assert of[CIPLA, "5minute"].bars < of[CIPLA, "5minute"].market_bars / 1.5
    listed = date(2024, 1, 9)
    before = len(verification.calendar.within(FIRST, listed - timedelta(days=1)))
    assert of[LATE, "1day"].explained == {Reason.BEFORE_LISTING: before}
    assert of[LATE, "5minute"].explained == {Reason.BEFORE_LISTING: before}
    assert of[LATE, "1week"].explained == {Reason.BEFORE_LISTING: (listed - FIRST).days // 7}
    assert of[SBIN, "5minute"].due == of[SBIN, "1day"].due == len(verification.calendar.sessions)
    assert of[SBIN, "5minute"].bars == of[SBIN, "5minute"].market_bars


def test_the_calendar_is_learned_and_short_sessions_are_known_by_their_bars(whole):
    verification = verify(Store(whole), wants(), NOW)
    calendar = verification.calendar
    weekends = [day for day in calendar.within(FIRST, LAST) if day.weekday() >= 5]
    assert weekends == [date(2023, 11, 12), date(2024, 1, 20), date(2024, 3, 2)]
    assert date(2024, 1, 22) in calendar.holidays(FIRST, LAST)
    assert len(calendar.holidays(FIRST, LAST)) == 10
    assert [(s.day, s.bars, s.usual) for s in verification.short_sessions] == [
        (date(2023, 11, 12), 12, 75),
        (date(2024, 1, 20), 39, 75),
        (date(2024, 3, 2), 39, 75),
    ]


@pytest.fixture(scope="module")
def holed(tmp_path_factory):
    """A hole of every kind, two instruments at once lacking the same day among them."""
    november, january, march = date(2023, 11, 1), date(2024, 1, 1), date(2024, 3, 1)
    filling = Filling(
        {
            (SBIN, "5minute", january): "skip",
            (SBIN, "5minute", march): "fail",
            (RELIANCE, "5minute", november): [date(2023, 11, 12), date(2023, 11, 13)],
            (RELIANCE, "5minute", january): "empty",
            (CIPLA, "5minute", november): [date(2023, 11, 3), date(2023, 11, 6)],
            (RELIANCE, "1day", FIRST): [date(2024, 2, 9), date(2024, 2, 12)],
            (REFERENCE, "1day", FIRST): [date(2023, 12, 6)],
            (BSE, "1week", FIRST): [date(2024, 2, 5)],
            (BSE, "5minute", march): datetime(2024, 3, 28, 16, tzinfo=IST),  # before it settled
        }
    )
    uri = fill(str(tmp_path_factory.mktemp("holed") / "store"), filling)
    candles = DeltaTable(f"{uri}/candles")
    candles.delete(f"instrument_key = '{INFY}' AND date = '2023-12-20'")  # from all timeframes
    candles.delete(
        f"instrument_key = '{INFY}' AND timeframe = '5minute' AND date = '2024-02-06' AND volume > 9000"
    )
    return uri


HOLES = sorted(
    [
        (SBIN, "5minute", Reason.NEVER_ASKED, date(2024, 1, 1), date(2024, 1, 31), 22),
        (SBIN, "5minute", Reason.FAILED, date(2024, 3, 1), date(2024, 3, 28), 19),
        (RELIANCE, "5minute", Reason.MISSING, date(2023, 11, 12), date(2023, 11, 13), 2),
        (RELIANCE, "5minute", Reason.MISSING, date(2024, 1, 1), date(2024, 1, 31), 22),
        (CIPLA, "5minute", Reason.MISSING, date(2023, 11, 3), date(2023, 11, 6), 2),
        (RELIANCE, "1day", Reason.MISSING, date(2024, 2, 9), date(2024, 2, 12), 2),
        (REFERENCE, "1day", Reason.MISSING, date(2023, 12, 6), date(2023, 12, 6), 1),
        (BSE, "1week", Reason.MISSING, date(2024, 2, 5), date(2024, 2, 11), 1),
        (BSE, "5minute", Reason.NOT_FINAL, date(2024, 3, 28), date(2024, 3, 28), 1),
        (INFY, "5minute", Reason.LOST, date(2023, 12, 20), date(2023, 12, 20), 1),
        (INFY, "1day", Reason.LOST, date(2023, 12, 20), date(2023, 12, 20), 1),
        (INFY, "5minute", Reason.LOST, date(2024, 2, 1), date(2024, 2, 29), 0),
    ]
)


def test_exactly_the_planted_holes_are_found(holed):
    assert found_in(holed) == HOLES


def test_only_holes_on_the_days_and_in_the_timeframes_wanted_count(holed):
    some = wants(labels=["5minute"], first=date(2024, 1, 1), last=date(2024, 1, 31))
    mine = [hole for hole in HOLES if hole[1] == "5minute" and hole[3] == date(2024, 1, 1)]
    assert found_in(holed, some) == mine


def test_the_repair_asks_for_the_holes_alone_and_closes_them(holed):
    """Once its answers are stored, nothing is missing and nothing is asked."""
    verification = verify(Store(holed), wants(), NOW)
    plan = repair(verification)
    asked = {
        (c.instrument_key, str(c.timeframe), c.first + timedelta(days=n))
        for c in plan.chunks
        for n in range((c.last - c.first).days + 1)
    }
    assert len(plan.chunks) == 12
    for key, label, _, first, last, _ in HOLES:
        assert (key, label, first) in asked
        assert (key, label, last) in asked
    StoreWriter(holed).commit([delivery(chunk, at=NOW) for chunk in plan.chunks])
    later = NOW + timedelta(hours=1)
    assert found_in(holed, now=later) == []
    assert repair(verify(Store(holed), wants(), later)).chunks == ()


@pytest.fixture(scope="module")
def updated(tmp_path_factory):
    """Ten daily updates: each asks once more for all but one of the days of the one before."""
    uri = str(tmp_path_factory.mktemp("updated") / "store")
    some = wants([SBIN, CIPLA, REFERENCE], ["5minute", "1day"], first=UPDATED, last=None)
    for day in (date(2024, 2, 1) + timedelta(days=n) for n in range(10)):
        now = datetime.combine(day, time(10), IST)
        chunks = plan(some, held(Store(uri).receipts()), now).chunks
        StoreWriter(uri).commit([delivery(chunk, at=now) for chunk in chunks])
    receipts = Store(uri).receipts()
    assert receipts.filter(pc.equal(receipts["timeframe"], "5minute")).num_rows == 3 * 10
    return uri


UPDATED, TEN_LATER = date(2024, 1, 1), datetime(2024, 2, 10, 20, tzinfo=IST)

#: What is deleted; what verify then says of the 5-minute bars: reason, first and last day, sessions.
DELETED = {
    "whole": ("false", []),
    "oldest": ("date = '2024-01-03'", [(Reason.LOST, date(2024, 1, 3), date(2024, 1, 3), 1)]),
    "in all of them but the last": (
        "date = '2024-01-09'",
        [(Reason.LOST, date(2024, 1, 9), date(2024, 1, 9), 1)],
    ),
    "minutes of an old day": (
        "date = '2024-01-05' AND ts >= '2024-01-05T05:00:00Z'",
        [(Reason.LOST, date(2024, 1, 5), date(2024, 1, 5), 0)],
    ),
    "two old days": (
        "date IN ('2024-01-03', '2024-01-08')",
        [(Reason.LOST, date(2024, 1, n), date(2024, 1, n), 1) for n in (3, 8)],
    ),
    "an old and a recent day": (
        "date IN ('2024-01-04', '2024-01-16')",
        [
            (Reason.LOST, date(2024, 1, 4), date(2024, 1, 4), 1),
            (Reason.LOST, date(2024, 1, 16), date(2024, 1, 16), 1),
        ],
    ),
}


@pytest.mark.parametrize("labels", [["5minute"], ["5minute", "1day"]], ids=["alone", "daily too"])
@pytest.mark.parametrize(("where", "gaps"), DELETED.values(), ids=DELETED)
def test_a_hole_is_found_though_newer_answers_overlap_those_that_filled_it(
    updated, tmp_path, where, gaps, labels
):
    """Of a thin share's silent days ten answers say the same; daily bars may be there to tell."""
    uri = shutil.copytree(updated, tmp_path / "store")
    DeltaTable(uri / "candles").delete(f"timeframe = '5minute' AND {where}")
    some = wants([SBIN, CIPLA, REFERENCE], labels, first=UPDATED, last=None)
    assert found_in(str(uri), some, TEN_LATER) == sorted(
        (key, "5minute", *gap)
        for key in (SBIN, CIPLA, REFERENCE)
        for gap in gaps
        if gap[1] in traded_days(key)
    )


def traded_days(key):
    chunk = Chunk(key, key, Timeframe.parse("5minute"), UPDATED, TEN_LATER.date())
    return delivery(chunk).candles["date"].to_pylist()


def test_without_the_calendar_silent_days_are_undecided_and_one_request_decides_them(tmp_path):
    uri = fill(str(tmp_path / "store"), Filling(), keys=[SBIN, INFY], labels=["1day"])
    some = wants([SBIN, INFY], ["1day"])
    first = verify(Store(uri), some, NOW)
    assert first.grade is Grade.COMPLETE, "no gap is known of"
    assert len(first.undecided) == 10
    plan = repair(first)
    assert [chunk.id for chunk in plan.chunks] == [f"{REFERENCE}/1day/{FIRST}/{LAST}"]
    StoreWriter(uri).commit([delivery(chunk, at=NOW) for chunk in plan.chunks])
    assert not verify(Store(uri), some, NOW + timedelta(hours=1)).grade


def test_a_store_held_against_its_own_receipts_is_whole_without_the_calendar(tmp_path):
    uri = fill(
        str(tmp_path / "store"), Filling(), keys=[SBIN, RELIANCE, INFY], labels=["1day", "5minute"]
    )
    verified = verify_store(Store(uri), None, None)
    assert (verified.exit(), verified.found.grade) == (Exit.DONE, Grade.COMPLETE)
    assert len(verified.found.undecided) == 10
    DeltaTable(f"{uri}/candles").delete("date = '2024-01-16' AND timeframe = '5minute'")
    assert verify_store(Store(uri), None, None).exit() is Exit.INCOMPLETE


def test_of_a_store_held_against_its_own_receipts_only_days_that_were_asked_for_are_due(tmp_path):
    """Two spans years apart; a third within the second, which failed, is asked for."""
    uri, daily = str(tmp_path / "store"), Timeframe.parse("1day")
    spans = [(date(2022, 1, 3), date(2022, 1, 31)), (date(2024, 1, 1), date(2024, 1, 31))]
    asked = [Chunk(k, k, daily, *span) for k in (SBIN, INFY, REFERENCE) for span in spans]
    StoreWriter(uri).commit([delivery(chunk) for chunk in asked])
    assert verify_store(Store(uri), None, None).exit() is Exit.DONE
    (within, *_) = verify_store(Store(uri), date(2022, 1, 10), date(2024, 1, 5)).found.verdicts
    assert within.due == within.there == 15 + 5

    late = Chunk(SBIN, SBIN, daily, date(2024, 1, 29), date(2024, 2, 6))
    StoreWriter(uri).commit([delivery(late, "fail")])
    verified = verify_store(Store(uri), None, None)
    (gap,) = (gap for verdict in verified.found.verdicts for gap in verdict.gaps)
    assert (verified.exit(), gap.reason) == (Exit.INCOMPLETE, Reason.FAILED)
    assert (gap.first, gap.last) == (date(2024, 2, 1), date(2024, 2, 6))


def test_a_version_is_held_against_what_was_known_when_it_was_the_newest(tmp_path):
    """Whole then, whatever was asked or lost since. What was to come is not due."""
    uri = fill(str(tmp_path / "store"), Filling(), keys=[SBIN, REFERENCE], labels=["1day"])
    version = Store(uri).candles_version()
    fill(uri, Filling(), keys=[INFY], labels=["1day"])
    DeltaTable(f"{uri}/candles").delete("date = '2024-01-16'")
    assert verify_store(Store(uri), None, None).exit() is Exit.INCOMPLETE
    then = verify_store(Store(uri).at(version), None, None)
    assert (then.exit(), then.found.candles_version) == (Exit.DONE, version)
    assert {i.instrument_key for i in then.found.instruments} == {SBIN, REFERENCE}


def test_an_empty_store_was_never_asked_anything(tmp_path):
    """With every weekday a gap until the calendar tells."""
    verification = verify(Store(str(tmp_path / "store")), wants([SBIN]), NOW)
    gaps = [gap for verdict in verification.verdicts for gap in verdict.gaps]
    assert {gap.reason for gap in gaps} == {Reason.NEVER_ASKED}
    assert verification.grades == {SBIN: Grade.GAPS}
    assert {c.timeframe.label for c in repair(verification).chunks} == {"1day", "5minute", "1week"}


def test_a_hole_where_the_asking_begins_is_no_late_listing(tmp_path):
    """The store knows that there were bars before."""
    march = date(2024, 3, 1)
    uri = fill(
        str(tmp_path / "store"),
        Filling({(SBIN, "5minute", march): [march, date(2024, 3, 2)]}),
        labels=["5minute"],
    )
    fill(uri, Filling(), keys=[REFERENCE], labels=["1day"])
    assert found_in(uri, wants([SBIN], ["5minute"], first=march)) == [
        (SBIN, "5minute", Reason.UNCONFIRMED, march, date(2024, 3, 2), 2)
    ]


def test_what_has_not_settled_is_not_due(tmp_path):
    """In the evening of a session nobody expects its bars."""
    uri = fill(str(tmp_path / "store"), Filling(), labels=["1day"])
    evening = datetime(2024, 4, 1, 20, tzinfo=UTC)
    some = wants([SBIN], ["1day"], last=date(2024, 4, 30))
    assert found_in(uri, some, evening) == []
    next_day = datetime(2024, 4, 2, 4, tzinfo=UTC)
    assert found_in(uri, some, next_day) == [
        (SBIN, "1day", Reason.NEVER_ASKED, date(2024, 4, 1), date(2024, 4, 1), 1)
    ]
