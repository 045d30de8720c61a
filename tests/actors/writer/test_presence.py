from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from actors.market.timeframe import Timeframe
from actors.writer import presence
from actors.writer.reading import Store
from actors.writer.store import StoreWriter

SBIN, NIFTY, QUOTED = "NSE_EQ|SBIN", "NSE_INDEX|Nifty 50", "NSE_EQ|O'Neil') OR TRUE --"
SPAN = (date(2023, 12, 20), date(2024, 1, 20))
DAILY, MINUTES = Timeframe.parse("1day"), Timeframe.parse("5minute")


@pytest.fixture(scope="module")
def full(kit, tmp_path_factory):
    """Three instruments over the turn of a year; every third of their daily bars saw no trade,
    every fifth is not final."""
    uri = str(tmp_path_factory.mktemp("full") / "store")
    writer = StoreWriter(uri)
    for key in (SBIN, NIFTY, QUOTED):
        writer.commit([kit.stored(kit.chunk(key, *SPAN, "5minute"))])
        daily = kit.stored(kit.chunk(key, *SPAN, "1day"))
        volume = [0 if day.day % 3 == 0 else 7 for day in daily.candles["date"].to_pylist()]
        place = daily.candles.column_names.index("volume")
        field = daily.candles.schema.field(place)
        candles = daily.candles.set_column(place, field, pa.array(volume, pa.int64()))
        final = [day.day % 5 != 0 for day in daily.candles["date"].to_pylist()]
        place = candles.column_names.index("final")
        candles = candles.set_column(place, candles.schema.field(place), pa.array(final))
        writer.commit([replace(daily, candles=candles)])
    return uri


def counted(uri, keys, timeframe, first, last):
    tables = Store(uri).presence().counts(keys, timeframe, first, last)
    rows = pa.concat_tables(tables).to_pylist()
    assert len(rows) == len({(row["instrument_key"], row["date"]) for row in rows})
    return {
        (row["instrument_key"], row["date"]): (row["bars"], row["traded"], row["final"])
        for row in rows
        if row["instrument_key"] in keys and first <= row["date"] <= last
    }


@pytest.mark.parametrize("few", [0, 64])
@pytest.mark.parametrize("timeframe", [DAILY, MINUTES])
def test_bars_are_counted_as_a_loop_over_the_candles_would(full, timeframe, few, monkeypatch):
    """Whether the instruments are chosen in the table or, being many, not at all."""
    monkeypatch.setattr(presence, "_FEW", few)
    first, last = SPAN[0] + timedelta(days=3), SPAN[1] - timedelta(days=3)
    keys = [SBIN, QUOTED, NIFTY]
    candles = Store(full).candles(symbols=keys, timeframe=timeframe, first=first, last=last)
    bars, traded, final = Counter(), Counter(), Counter()
    for row in candles.to_arrow().to_pylist():
        series = row["instrument_key"], row["date"]
        bars[series] += 1
        traded[series] += bool(timeframe == MINUTES or row["volume"] or "INDEX" in series[0])
        final[series] += row["final"]
    expected = {series: (n, traded[series], final[series]) for series, n in bars.items()}
    assert counted(full, keys, timeframe, first, last) == expected
    assert (final.total() < bars.total()) is (timeframe == DAILY)
    assert any(n > traded[series] for series, n in bars.items()) is (timeframe == DAILY)


def test_an_instrument_is_named_whatever_its_name(full):
    assert {key for key, _ in counted(full, [QUOTED], DAILY, *SPAN)} == {QUOTED}


def test_counts_stay_with_the_version_they_were_opened_at(kit, uri):
    StoreWriter(uri).commit([kit.stored(kit.chunk(SBIN, *SPAN))])
    opened = Store(uri).presence()
    StoreWriter(uri).commit([kit.stored(kit.chunk(NIFTY, *SPAN))])
    found = pa.concat_tables(opened.counts([SBIN, NIFTY], DAILY, *SPAN))
    assert pc.unique(found["instrument_key"]).to_pylist() == [SBIN]
    assert opened.version == Store(uri).candles_version() - 1
    assert Store(uri).at(opened.version).presence().version == opened.version


def test_of_no_store_nothing_is_counted(tmp_path):
    opened = Store(str(tmp_path / "nowhere")).presence()
    assert opened.version is None
    assert sum(table.num_rows for table in opened.counts([SBIN], DAILY, *SPAN)) == 0
