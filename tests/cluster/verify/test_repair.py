"""Bars that are made of minutes: repaired by those, or by making them again."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from deltalake import DeltaTable

from actors.market.chunk import Chunk
from actors.market.session_days import REFERENCE
from actors.market.timeframe import Timeframe
from actors.writer.coverage import held
from actors.writer.reading import Store
from actors.writer.store import StoreWriter
from cluster.derive import compute
from cluster.derived import due, is_derived
from cluster.verify.judgement import Grade, Reason
from cluster.verify.repair import make_again, repair
from cluster.verify.verification import verify
from tests.cluster.verify.conftest import CIPLA, NOW, SBIN, delivery, wants


def test_derived_bars_are_repaired_by_their_minutes_or_by_making_them(tmp_path):
    """A thin share's silent days are no better known for having been derived from one answer."""
    uri, span = str(tmp_path / "store"), (date(2024, 1, 1), date(2024, 1, 31))
    some = wants([CIPLA], ["1minute", "5minute"], *span)
    chunks = [Chunk(CIPLA, CIPLA, Timeframe.parse("1minute"), *span)]
    chunks += [Chunk(REFERENCE, REFERENCE, Timeframe.parse("1day"), *span)]
    StoreWriter(uri).commit([delivery(chunk) for chunk in chunks])
    derive(uri, some)
    found = verify(Store(uri), some, NOW)
    silent = {g.first for v in found.verdicts for g in v.gaps}
    assert {g.reason for v in found.verdicts for g in v.gaps} == {Reason.UNCONFIRMED}
    assert len(silent) > 1
    assert {c.timeframe.label for c in repair(found, derive=True).chunks} == {"1minute"}

    StoreWriter(uri).commit(
        [delivery(chunk, at=NOW) for chunk in repair(found, derive=True).chunks]
    )
    derive(uri, some)
    assert verify(Store(uri), some, NOW + timedelta(hours=1)).grade is Grade.COMPLETE

    for table in ("candles", "chunks"):
        DeltaTable(f"{uri}/{table}").delete("timeframe = '5minute'")
    unmade = verify(Store(uri), some, NOW + timedelta(hours=1))
    reasons = [(str(v.timeframe), g.reason) for v in unmade.verdicts for g in v.gaps]
    assert reasons == [("5minute", Reason.NEVER_ASKED)]
    assert repair(unmade, derive=True).chunks == ()


HOLES_IN_DERIVED = [
    "timeframe = '5minute' AND date = '2024-01-17'",
    "timeframe = '5minute' AND date = '2024-01-17' AND ts >= '2024-01-17T05:00:00Z'",
    "timeframe = '15minute' OR date = '2024-01-17' AND timeframe = '5minute'",
]


@pytest.mark.parametrize("hole", HOLES_IN_DERIVED)
def test_derived_bars_that_are_lost_are_made_again_without_a_request(tmp_path, hole):
    """None but for the days on which a thin share has no minutes, which only another answer can tell."""
    uri, span = str(tmp_path / "store"), (date(2024, 1, 1), date(2024, 1, 31))
    some = wants([SBIN, CIPLA], ["1minute", "5minute", "15minute"], *span)
    asked = [Chunk(k, k, Timeframe.parse("1minute"), *span) for k in (SBIN, CIPLA)]
    asked += [Chunk(REFERENCE, REFERENCE, Timeframe.parse("1day"), *span)]
    StoreWriter(uri).commit([delivery(chunk) for chunk in asked])
    derive(uri, some)
    before = rows_of(uri)
    DeltaTable(f"{uri}/candles").delete(hole)
    gone = len(before - rows_of(uri))

    lost = verify(Store(uri), some, NOW)
    assert (SBIN, Reason.LOST) in reasons_in(lost)
    assert {chunk.instrument_key for chunk in repair(lost, derive=True).chunks} == {CIPLA}
    assert make_again(Store(uri), lost, "run") >= gone > 0
    assert rows_of(uri) == before
    made = verify(Store(uri), some, NOW)
    assert reasons_in(made) == {(CIPLA, Reason.UNCONFIRMED)}
    assert make_again(Store(uri), made, "run") == 0


def reasons_in(found):
    return {(v.instrument.instrument_key, gap.reason) for v in found.verdicts for gap in v.gaps}


def rows_of(uri):
    table = DeltaTable(f"{uri}/candles").to_pyarrow_table().drop_columns("period")
    return {tuple(row.values()) for row in table.to_pylist()}


def derive(uri, some):
    """What a run does once it has fetched the minutes."""
    receipts = Store(uri).receipts()
    longer = [want for want in some if is_derived(want)]
    compute(Store(uri), due(longer, receipts, held(receipts), NOW), "run")
