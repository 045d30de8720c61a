"""The same candles in every form."""

from __future__ import annotations

import sys
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pytest

from actors.market.errors import StoreError, UsageError
from actors.writer import selection
from actors.writer.reading import Store
from actors.writer.selection import USUAL
from actors.writer.store import StoreWriter

SBIN, NIFTY = "NSE_EQ|SBIN", "NSE_INDEX|Nifty 50"
SPAN = (date(2023, 12, 20), date(2024, 1, 20))
INDIA = ZoneInfo("Asia/Kolkata")


@pytest.fixture
def store(kit, uri):
    """Two instruments, day bars and minute bars, in two commits, at a path that must be quoted."""
    writer = StoreWriter(uri)
    for key in (SBIN, NIFTY):
        labels = ("1day", "5minute")
        writer.commit([kit.stored(kit.chunk(key, *SPAN, label), 1 / 3) for label in labels])
    return Store(uri)


CHOICES = [
    {},
    {"timeframe": "5minute", "first": "2024-01-01"},
    {"symbols": ["SBIN"], "columns": ["close", "ts", "period"], "last": date(2023, 12, 31)},
    {"symbols": [], "columns": ["ts"]},
]


@pytest.mark.parametrize("choice", CHOICES)
def test_every_form_holds_the_same(store, choice):
    """Row by row, the stamps as India's clocks show them; DuckDB's in whatever order."""
    candles = store.candles(**choice)
    table = candles.to_arrow()
    rows = table.to_pylist()
    assert table.column_names == candles.columns
    assert all(row["ts"].tzinfo == INDIA for row in rows)
    assert candles.to_polars().to_dicts() == rows
    assert pa.concat_tables([table.slice(0, 0), *candles.pieces()]).equals(table)
    frame = candles.to_pandas()
    assert pa.Table.from_pandas(frame, schema=table.schema, preserve_index=False).equals(table)
    assert frame["ts"].dt.tz == INDIA
    relation = candles.to_duckdb()
    assert relation.columns == table.column_names
    found = relation.to_arrow_table().cast(table.schema).to_pylist()
    assert sorted(found, key=str) == sorted(rows, key=str)


def test_a_relation_can_be_asked_further_where_it_lives(store):
    """On the default connection by its variable's name; on another one if it is given."""
    days = store.candles(timeframe="1day").to_duckdb()  # noqa: F841  # the query names it
    counted = duckdb.sql("SELECT symbol, count(*), min(ts) FROM days GROUP BY 1 ORDER BY 1")
    began = datetime(2023, 12, 20, tzinfo=INDIA)
    assert [*counted.to_arrow_table().to_pydict().values()] == [
        ["Nifty 50", "SBIN"],
        [32, 32],
        [began, began],
    ]
    with duckdb.connect() as own:
        there = store.candles(timeframe="1day").to_duckdb(own)  # noqa: F841  # likewise
        assert own.sql("SELECT count(*) FROM there").fetchall() == [(64,)]


def test_files_that_duckdb_cannot_open_by_name_reach_it_through_arrow(kit, tmp_path):
    """Here because `*` would mean other stores too; object stores go the same way."""
    for name, price in (("store*", 1.0), ("store2", 2.0)):
        StoreWriter(str(tmp_path / name)).commit([kit.stored(kit.chunk(SBIN, *SPAN), price)])
    candles = Store(str(tmp_path / "store*")).candles()
    assert candles.to_duckdb().to_arrow_table().cast(USUAL).equals(candles.to_arrow())


def test_in_pieces_as_many_instruments_are_taken_as_their_rows_allow(store, monkeypatch):
    """Together less than the limit; one alone may be larger."""
    sizes = {1: [96, 96], 96: [96, 96], 191: [96, 96], 192: [192]}
    for limit, expected in sizes.items():
        monkeypatch.setattr(selection, "ROWS_TOGETHER", limit)
        assert [piece.num_rows for piece in store.candles().pieces()] == expected


def test_what_was_chosen_stays_what_it_was(kit, store):
    """Whatever is written after; and it knows its version, which finds it again."""
    chosen = store.candles(timeframe="1day")
    before = chosen.to_arrow()
    StoreWriter(store.uri).commit([kit.stored(kit.chunk(SBIN, *SPAN), 7.0)])
    assert chosen.to_arrow().equals(before)
    assert sum(piece.num_rows for piece in chosen.pieces()) == before.num_rows
    assert store.candles(timeframe="1day", as_of=chosen.version).to_arrow().equals(before)
    now = store.candles(timeframe="1day", symbols="SBIN").to_arrow()
    assert set(now["close"].to_pylist()) == {7.0}


@pytest.mark.parametrize("name", ["polars", "duckdb"])
def test_a_library_that_is_missing_is_said_in_words(store, monkeypatch, name):
    """Both are the user's to install."""
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=f"{name} is not installed; `pip install {name}` does it"):
        getattr(store.candles(), f"to_{name}")()


def test_a_file_that_is_gone_is_a_store_that_cannot_be_read(store):
    """In words, and never as fewer rows."""
    candles = store.candles()
    next(Path(store.uri, "candles").rglob("*.parquet")).unlink()
    for read in (candles.to_arrow, lambda: [*candles.pieces()]):
        with pytest.raises(StoreError, match="is gone"):
            read()
