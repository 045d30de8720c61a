from __future__ import annotations

from datetime import UTC, date, datetime

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.market.chunk import Status
from actors.market.errors import UsageError
from actors.market.timeframe import Timeframe
from actors.writer.reading import Holding, Store
from actors.writer.selection import USUAL
from actors.writer.store import StoreWriter

SBIN, BSE_SBIN, NIFTY = "NSE_EQ|SBIN", "BSE_EQ|SBIN", "NSE_INDEX|Nifty 50"
QUOTED = "NSE_EQ|O'Neil') OR TRUE --"
SPAN = (date(2023, 12, 20), date(2024, 1, 20))


@pytest.fixture(scope="module")
def full(kit, tmp_path_factory):
    """Four instruments in three timeframes over the turn of a year; the last two are not final."""
    uri = str(tmp_path_factory.mktemp("full") / "store")
    writer = StoreWriter(uri)
    for price, key in enumerate([SBIN, BSE_SBIN, NIFTY, QUOTED]):
        writer.commit(
            [
                kit.stored(kit.chunk(key, *SPAN, label), price)
                for label in ("1day", "5minute", "1month")
            ]
        )
    writer.commit([kit.stored(kit.chunk(NIFTY, date(2024, 5, 31), date(2024, 6, 2)))])
    return uri


def test_fewer_of_the_same_version_can_be_had_and_in_any_order(full):
    """As if they had been asked for so, but for the order."""
    asked = {"timeframe": Timeframe.parse("5minute"), "first": date(2024, 1, 3)}
    some = (
        Store(full)
        .candles()
        .only(columns=["symbol", "ts", "close"], instrument_keys=[SBIN, NIFTY], **asked)
    )
    same = Store(full).candles(symbols=[SBIN, NIFTY], columns=["symbol", "ts", "close"], **asked)
    assert some.to_arrow() == same.to_arrow()
    order = [("symbol", "ascending"), ("ts", "ascending")]
    assert some.unordered().sort_by(order) == same.to_arrow().sort_by(order)
    assert some.version == same.version
    assert some.to_arrow().num_rows == 2 * 18 * 2


def test_a_store_that_is_not_there_is_empty(tmp_path):
    """What a plan asks has an answer, a reader is told, and asking leaves no trace."""
    store = Store(str(tmp_path / "nowhere"))
    assert store.candles_version() is None
    assert (
        store.receipts().num_rows == store.dead_letters().num_rows == store.latest().num_rows == 0
    )
    assert (store.holdings(), store.runs(), store.symbols()) == ([], [], {})
    for look in (store.candles, lambda: store.at(0)):
        with pytest.raises(UsageError, match="there is no store at .*nowhere"):
            look()
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_store(tmp_path):
    """Said in words."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        Store(str(tmp_path / "file")).receipts()


@settings(max_examples=40, deadline=None)
@given(
    st.none()
    | st.sets(st.sampled_from(["Nifty 50", "O'Neil') OR TRUE --", SBIN, BSE_SBIN, QUOTED])),
    st.none() | st.sampled_from(["1day", "5 minutes", "1month"]),
    st.tuples(*[st.none() | st.dates(date(2023, 12, 1), date(2024, 6, 3))] * 2).filter(
        lambda days: None in days or days[0] <= days[1]
    ),
    st.booleans(),
)
def test_every_filter_chooses_as_a_loop_would(full, symbols, timeframe, days, final_only):
    """Alone and together, over partitions of months and years, with names that try to escape."""
    first, last = days
    rows = pa.table(DeltaTable(f"{full}/candles").scan()).select(USUAL.names).to_pylist()
    label = timeframe and timeframe.replace(" ", "").rstrip("s")
    expected = [
        row
        for row in rows
        if (symbols is None or row["symbol"] in symbols or row["instrument_key"] in symbols)
        and (label is None or row["timeframe"] == label)
        and (first is None or row["date"] >= first)
        and (last is None or row["date"] <= last)
        and (row["final"] or not final_only)
    ]
    expected.sort(key=lambda row: (row["instrument_key"], row["timeframe"], row["ts"]))
    chosen = {"timeframe": timeframe, "first": first, "last": last, "final_only": final_only}
    found = Store(full).candles(symbols=symbols, **chosen).to_arrow()
    assert found.to_pylist() == expected


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"symbols": "nifty 50"}, "knows no 'nifty 50'; did you mean Nifty 50?"),
        (
            {"first": "2024-02-01", "last": date(2024, 1, 31)},
            "first: 2024-02-01 comes after the last day, 2024-01-31",
        ),
        ({"symbols": ["NSE_EQ|SBIN|SBIN"]}, "did you mean NSE_EQ[|]SBIN or BSE_EQ[|]SBIN"),
        ({"symbols": "' OR TRUE --"}, "knows no"),
        ({"symbols": "SBIN"}, "names 2 instruments, BSE_EQ[|]SBIN and NSE_EQ[|]SBIN; ask by key"),
        ({"timeframe": "1hour"}, "holds no 1hour, only 5minute, 1day, 1month"),
        ({"timeframe": "daily"}, "'daily' is no timeframe"),
        (
            {"symbols": NIFTY, "timeframe": "1week"},
            "1week was never fetched; .*5minute, 1day, 1month",
        ),
        ({"timeframe": ["1day"]}, "is no timeframe"),
        ({"symbols": 5}, "symbols: 5 is no name"),
        ({"first": "20/12/2023"}, "first: '20/12/2023' is no date"),
        ({"first": 20240101}, "first: 20240101 is no date"),
        ({"columns": ["close", "vloume"]}, "no column 'vloume'; did you mean volume?"),
        ({"as_of": "yesterday"}, "'yesterday' is no time; write one like"),
    ],
)
def test_what_can_have_no_answer_is_said_and_not_an_empty_one(full, asked, told):
    """With what was probably meant, or what there is."""
    with pytest.raises(UsageError, match=told):
        Store(full).candles(**asked)


def test_a_symbol_whose_every_request_failed_is_no_empty_answer(kit, uri):
    """One that was answered with nothing is; and so are days of which nothing is held."""
    ok, empty, bad = (kit.chunk(key, *SPAN) for key in (SBIN, NIFTY, QUOTED))
    StoreWriter(uri).commit([kit.stored(ok), kit.empty(empty), kit.failed(bad)])
    with pytest.raises(
        UsageError, match=r"Neil.* 1day has failed \(timeout\); `candlefleet retry`"
    ):
        Store(uri).candles(symbols=["SBIN", QUOTED], timeframe="1day")
    assert Store(uri).candles(symbols=NIFTY, timeframe="1day").to_arrow().num_rows == 0
    assert Store(uri).candles(symbols=SBIN, last="2000-01-01").to_arrow().num_rows == 0


def test_of_the_instruments_of_a_symbol_only_those_with_candles_count(kit, uri):
    """A share keeps its symbol when its ISIN changes; the old key is no longer answered."""
    now, before = kit.chunk("NSE_EQ|SBIN", *SPAN), kit.chunk("BSE_EQ|SBIN", *SPAN)
    StoreWriter(uri).commit([kit.failed(before), kit.stored(now)])
    found = Store(uri).candles(symbols="SBIN").to_arrow()
    assert set(found["instrument_key"].to_pylist()) == {"NSE_EQ|SBIN"}


def test_rows_count_even_where_no_receipt_speaks_of_them(kit, uri, monkeypatch):
    """As those of a timeframe that was computed from another one."""
    StoreWriter(uri).commit(
        [kit.stored(kit.chunk(SBIN, *SPAN, label)) for label in ("1day", "1hour")]
    )
    told = Store._receipts

    def without_hours(store, *asked):
        receipts = told(store, *asked)
        return receipts.filter(pc.equal(receipts["timeframe"], "1day"))

    monkeypatch.setattr(Store, "_receipts", without_hours)
    for symbols in (None, SBIN):
        found = Store(uri).candles(symbols=symbols, timeframe="1hour")
        assert sum(piece.num_rows for piece in found.pieces()) == 64


def test_days_may_be_texts_or_moments(full):
    """A moment means its day in India."""
    evening = datetime(2024, 1, 4, 20, tzinfo=UTC)
    for day in ("2024-01-05", date(2024, 1, 5), pd.Timestamp("2024-01-05"), evening):
        found = Store(full).candles(timeframe="1day", first=day, last=day, symbols=NIFTY)
        assert found.to_arrow()["date"].to_pylist() == [date(2024, 1, 5)]


def test_holdings_count_what_is_there(full):
    """From statistics; shortest timeframe first."""
    assert Store(full).holdings() == [
        Holding("5minute", 4, 4 * 32 * 2, *SPAN),
        Holding("1day", 4, 4 * 32 + 3, SPAN[0], date(2024, 6, 2)),
        Holding("1month", 4, 4, date(2024, 1, 1), date(2024, 1, 1)),
    ]


def test_symbols_may_stand_for_several_instruments(full):
    """The same share at two exchanges."""
    assert Store(full).symbols()["SBIN"] == [BSE_SBIN, SBIN]


def test_dead_letters_come_from_the_receipts(kit, uri):
    ok, empty, bad = (kit.chunk(key, *SPAN) for key in (SBIN, NIFTY, QUOTED))
    StoreWriter(uri).commit([kit.stored(ok), kit.empty(empty), kit.failed(bad)])
    store = Store(uri)
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
