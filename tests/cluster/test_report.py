from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from actors.fetcher.outcome import Halted
from actors.market.chunk import Cause, Chunk, Receipt, Status
from actors.market.errors import StoreError, UsageError
from actors.market.timeframe import Timeframe
from cluster.derive import Derived
from cluster.exit import Exit
from cluster.fleet import Worked
from cluster.report import Summary, exit_code, lines, summarise
from cluster.standing import NAMED_FAILURES, Totals

DAY = date(2024, 1, 1)


def receipt(status: Status, number: int = 0) -> Receipt:
    return Receipt(
        chunk=Chunk(f"NSE_EQ|{number}", "S", Timeframe.parse("1day"), DAY, DAY),
        status=status,
        run_id="r",
        fetched_at=datetime(2024, 1, 2, tzinfo=UTC),
        rows=7 if status is Status.STORED else 0,
        cause=Cause.SERVER_ERROR if status is Status.FAILED else None,
        error="HTTP 503" if status is Status.FAILED else None,
    )


def worked(*receipts: Receipt, planned: int, requests: int = 9, **facts: object) -> Worked:
    done = Worked(planned=planned, requests=requests, **facts)  # type: ignore[arg-type]
    for each in receipts:
        done.totals.add(each)
    return done


def summary(
    *receipts: Receipt, planned: int, notes: list[str] | None = None, derives: bool = False
) -> Summary:
    return _summed(worked(*receipts, planned=planned), notes=notes, derives=derives)


def _summed(done: Worked, *, notes: list[str] | None = None, derives: bool = False) -> Summary:
    return summarise(
        "r",
        done,
        seconds=1.0,
        store="/data",
        began_version=1,
        candles_version=3,
        unresolved=0,
        notes=notes or [],
        derives=derives,
    )


def test_the_summary_always_adds_up() -> None:
    got = summary(
        *map(receipt, [Status.STORED, Status.STORED, Status.EMPTY, Status.FAILED]), planned=6
    )
    assert (got.stored, got.empty, got.failed, got.pending) == (2, 1, 1, 2)
    assert got.stored + got.empty + got.failed + got.pending == got.planned
    assert got.rows == 14
    assert got.causes == {"server_error": 1}


def test_one_is_not_many() -> None:
    got = replace(summary(receipt(Status.STORED), planned=1), rows=1, requests=1)
    first, second = lines(got, [], None)
    assert first.startswith("1 chunk stored, ")
    assert second.startswith("1 candle by 1 request in ")


def test_a_rewritten_history_is_named_with_its_ratio() -> None:
    split = replace(
        receipt(Status.STORED), revised=5, ratio=0.5, outdates=datetime(2024, 1, 1, tzinfo=UTC)
    )
    late = replace(receipt(Status.STORED, 1), revised=2)  # a correction of some late bars
    got = summary(split, late, planned=2)
    assert (got.revised, got.rewritten) == (7, {"S": 0.5})
    said = "The provider has rewritten the history of S (prices x 0.5)."
    assert said in lines(got, [], None)


def test_bars_that_were_computed_are_told_and_those_that_could_not_be_are_no_success() -> None:
    got = replace(summary(planned=0), derived=1_234)
    assert exit_code(got, Worked(), 0) is Exit.DONE
    assert "1,234 candles computed from 1-minute ones." in lines(got, [], None)
    refused = replace(receipt(Status.FAILED), error="nothing came")
    got = replace(got, underivable=1)
    assert exit_code(got, Worked(), 0) is Exit.INCOMPLETE
    assert f"  failed: {refused.chunk.id}: nothing came" in lines(got, [refused], None)


HALT = Halted("the token has expired", 401, "UDAPI100050")
LEDGER = UsageError("cannot be used: the disk is full", "/state/budget.sqlite3")

STORED, FAILED = receipt(Status.STORED), receipt(Status.FAILED)


@pytest.mark.parametrize(
    ("done", "derives", "unforgiven", "expected"),
    [
        (worked(STORED, planned=1), False, 0, Exit.DONE),
        (worked(planned=0), False, 0, Exit.DONE),
        (worked(FAILED, planned=1), False, 0, Exit.INCOMPLETE),
        (worked(planned=1), False, 0, Exit.INCOMPLETE),
        (worked(planned=0), False, 1, Exit.INCOMPLETE),
        (worked(planned=1, interrupted=True), False, 0, Exit.INTERRUPTED),
        (worked(STORED, planned=1, interrupted=True), False, 0, Exit.DONE),
        (worked(STORED, planned=1, interrupted=True), True, 0, Exit.INTERRUPTED),
        (worked(STORED, planned=1, derived=Derived()), True, 0, Exit.DONE),
        (worked(planned=1, interrupted=True, halted=HALT), False, 0, Exit.REFUSED),
        (worked(planned=1, requests=0, interrupted=True, broken=LEDGER), False, 0, Exit.USAGE),
        (worked(planned=1, requests=1, broken=LEDGER), False, 0, Exit.INCOMPLETE),
        (worked(STORED, planned=2, interrupted=True, broken=LEDGER), False, 0, Exit.INCOMPLETE),
    ],
)
def test_the_exit_code_says_whether_all_is_well(
    done: Worked, derives: bool, unforgiven: int, expected: Exit
) -> None:
    got = _summed(done, derives=derives)
    assert exit_code(got, done, unforgiven) is expected
    said = any("not computed" in line for line in lines(got, [], done.halted))
    assert said == got.underived == (derives and done.derived is None)
    goes_on = "The same command fetches the rest." in lines(got, [], done.halted)
    assert goes_on == (got.pending > 0 and done.halted is None)


def test_dead_letters_are_named_up_to_a_number_and_counted_beyond() -> None:
    failures = [receipt(Status.FAILED, i) for i in range(NAMED_FAILURES + 5)]
    totals = Totals()
    for each in failures:
        totals.add(each)
    said = lines(summary(*failures, planned=len(failures)), totals.failures, None)
    assert sum("HTTP 503" in each for each in said) == NAMED_FAILURES
    assert any("and 5 more" in each for each in said)


def test_a_refusal_is_told_with_its_reason_and_code() -> None:
    said = "\n".join(lines(summary(planned=1), [], HALT))
    assert "the token has expired (UDAPI100050)" in said


def test_a_store_that_fails_is_no_usage_error_even_before_anything_was_sent() -> None:
    done = worked(planned=1, requests=0, broken=StoreError("disk full", "/data"))
    assert exit_code(_summed(done), done, 0) is Exit.INCOMPLETE


def test_a_store_is_said_to_hold_all_only_if_all_could_be_asked_for() -> None:
    assert "holds all" in "\n".join(lines(summary(planned=0), [], None))
    trimmed = summary(planned=0, notes=["5minute to 2015-12-31: nothing earlier"])
    assert "holds all" not in "\n".join(lines(trimmed, [], None))
