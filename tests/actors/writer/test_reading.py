from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.market.candles import CANDLES
from actors.market.chunk import Status
from actors.market.errors import StoreError
from actors.writer import reading
from actors.writer.reading import Holding, Store
from actors.writer.store import StoreWriter

SBIN, BSE_SBIN, NIFTY = "NSE_EQ|SBIN", "BSE_EQ|SBIN", "NSE_INDEX|Nifty 50"
QUOTED = "NSE_EQ|O'Neil') OR TRUE --"
SPAN = (date(2023, 12, 20), date(2024, 1, 20))


@pytest.fixture(scope="module")
def full(kit, tmp_path_factory):
    """Four instruments in three timeframes over the turn of a year."""
    uri = str(tmp_path_factory.mktemp("full") / "store")
    writer = StoreWriter(uri)
    for price, key in enumerate([SBIN, BSE_SBIN, NIFTY, QUOTED]):
        writer.commit(
            [
                kit.stored(kit.chunk(key, *SPAN, label), price)
                for label in ("1day", "5minute", "1month")
            ]
        )
    return uri


def test_a_store_that_is_not_there_is_empty(tmp_path):
    """Every question has an answer, and asking leaves no trace."""
    store = Store(str(tmp_path / "nowhere"))
    assert not store.exists()
    assert store.candles_version() is None
    assert (
        store.receipts().num_rows == store.dead_letters().num_rows == store.latest().num_rows == 0
    )
    assert store.candles().schema == CANDLES
    assert store.candles(columns=["ts"]).column_names == ["ts"]
    assert (store.held(), store.holdings(), store.runs(), store.symbols()) == ({}, [], [], {})
    assert list(store.in_order()) == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_store(tmp_path):
    """Said in words."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="is a file"):
        Store(str(tmp_path / "file")).receipts()


@settings(max_examples=25, deadline=None)
@given(
    st.none() | st.sets(st.sampled_from(["SBIN", "Nifty 50", "O'Neil') OR TRUE --", "unknown"])),
    st.none() | st.sets(st.sampled_from([SBIN, BSE_SBIN, QUOTED, "' OR TRUE --"])),
    st.none() | st.sampled_from(["1day", "5 minutes", "1month", "1week"]),
    st.tuples(*[st.none() | st.dates(date(2023, 12, 1), date(2024, 2, 1))] * 2),
)
def test_every_filter_chooses_as_a_loop_would(full, symbols, keys, timeframe, days):
    """Alone and together, over partitions of months and years, with names that try to escape."""
    first, last = days
    rows = pa.table(DeltaTable(f"{full}/candles").scan()).select(CANDLES.names).to_pylist()
    label = timeframe and timeframe.replace(" ", "").rstrip("s")
    expected = [
        row
        for row in rows
        if (symbols is None or row["symbol"] in symbols)
        and (keys is None or row["instrument_key"] in keys)
        and (label is None or row["timeframe"] == label)
        and (first is None or row["date"] >= first)
        and (last is None or row["date"] <= last)
    ]
    expected.sort(key=lambda row: (row["instrument_key"], row["timeframe"], row["ts"]))
    chosen = {"timeframe": timeframe, "first": first, "last": last}
    found = Store(full).candles(symbols=symbols, instrument_keys=keys, **chosen)
    assert found.to_pylist() == expected


def test_columns_are_those_asked_for_in_their_order(full):
    """The order of rows does not depend on them."""
    whole = Store(full).candles(symbols=["SBIN"])
    part = Store(full).candles(symbols=["SBIN"], columns=["close", "ts"])
    assert part.equals(whole.select(["close", "ts"]))


def test_in_order_is_the_same_table_in_small_pieces(full, monkeypatch):
    """One instrument or a few at a time."""
    monkeypatch.setattr(reading, "ROWS_TOGETHER", 150)
    pieces = list(Store(full).in_order())
    assert len(pieces) > 1
    assert pa.concat_tables(pieces).equals(Store(full).candles())


def test_holdings_count_what_is_there(full):
    """From statistics; shortest timeframe first."""
    assert Store(full).holdings() == [
        Holding("5minute", 4, 4 * 32 * 2, *SPAN),
        Holding("1day", 4, 4 * 32, *SPAN),
        Holding("1month", 4, 4, date(2024, 1, 1), date(2024, 1, 1)),
    ]


def test_symbols_may_stand_for_several_instruments(full):
    """The same share at two exchanges."""
    assert Store(full).symbols()["SBIN"] == [BSE_SBIN, SBIN]


def test_held_and_dead_letters_come_from_the_receipts(kit, uri):
    """A failure is no coverage; an empty answer is."""
    ok, empty, bad = (kit.chunk(key, *SPAN) for key in (SBIN, NIFTY, QUOTED))
    StoreWriter(uri).commit([kit.stored(ok), kit.empty(empty), kit.failed(bad)])
    store = Store(uri)
    assert {key for key, _ in store.held()} == {SBIN, NIFTY}
    assert store.held()[SBIN, "1day"][0][:2] == SPAN
    assert store.dead_letters()["chunk_id"].to_pylist() == [bad.id]
    assert store.dead_letters()["status"].to_pylist() == [Status.FAILED]


def test_a_run_leaves_its_files_beside_the_tables(kit, uri):
    """Before and after there is a table, and runs are listed by their ids."""
    store = Store(uri)
    store.run("20240601-1").write("manifest.json", b"{}")
    StoreWriter(uri).commit([kit.stored(kit.chunk(SBIN, *SPAN))])
    store.run("20240602-1").write("manifest.json", b"{}")
    assert store.runs() == ["20240601-1", "20240602-1"]
    assert store.run("20240601-1").read("manifest.json") == b"{}"
