"""Longer bars computed in a real store, held against the exchange's own."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from actors.market.candles import BARS, Delivery, label_candles
from actors.market.chunk import Cause, Chunk, Receipt, Status
from actors.market.errors import StoreError
from actors.market.instrument import Instrument
from actors.market.session_days import REFERENCE
from actors.market.sessions import IST
from actors.market.timeframe import Timeframe
from actors.writer import care, tables
from actors.writer.coverage import held
from actors.writer.reading import Store
from actors.writer.store import StoreWriter
from cluster import derive as made_here
from cluster.derive import compute
from cluster.derived import due
from cluster.lookalike.market import Market
from cluster.plan import Want

ROOT = Path(__file__).parents[2]
MARKET = Market(0)
SBIN, CIPLA, LATE = "NSE_EQ|INE062A01020", "NSE_EQ|INE059A01026", "NSE_EQ|INE900B01029"
KEYS = (SBIN, CIPLA, LATE, REFERENCE)
SPANS = [  # a listing; two short Saturdays; an evening of Diwali, from 18:00 on
    (date(2024, 1, 1), date(2024, 1, 31)),
    (date(2024, 2, 25), date(2024, 3, 10)),
    (date(2024, 10, 25), date(2024, 11, 5)),
]
LABELS = ("5minute", "15minute", "30minute", "1hour")
UNITS = {"5minute": ("minutes", 5), "15minute": ("minutes", 15), "30minute": ("minutes", 30)}
UNITS |= {"1hour": ("hours", 1), "1minute": ("minutes", 1)}
AT = datetime(2024, 12, 10, 12, tzinfo=UTC)
NOW = AT + timedelta(days=1)


def bars(key, label, first, last):
    candles = MARKET.candles(key, *UNITS[label], first, last)
    stamps = pa.array(candles.ts * 1_000_000).cast(BARS.field("ts").type)
    return pa.table([stamps, *map(pa.array, candles[1:])], schema=BARS)


def stored(key, first, last, made=None, at=AT, label="1minute"):
    chunk = Chunk(key, key, Timeframe.parse(label), first, last)
    made = bars(key, label, first, last) if made is None else made
    status = Status.STORED if made.num_rows else Status.EMPTY
    receipt = Receipt(
        chunk=chunk, status=status, run_id="r", fetched_at=at, rows=made.num_rows, attempts=1
    )
    return Delivery(receipt, label_candles(chunk, made, at) if made.num_rows else None)


def wants(labels=LABELS, keys=KEYS, days=(SPANS[0][0], SPANS[-1][1])):
    return [
        Want(Instrument(key, key, "", "", ""), Timeframe.parse(label), *days)
        for key in keys
        for label in labels
    ]


def derive(uri, some=None, now=NOW, **options):
    store = Store(uri)
    receipts = store.receipts()
    today = options.pop("today", False)
    return compute(
        store, due(some or wants(), receipts, held(receipts), now, today=today), "run", **options
    )


def rows(uri, label, version=None):
    """Every row of the timeframe, read without any of our code."""
    table = pa.table(DeltaTable(f"{uri}/candles", version=version).scan())
    found = [row for row in table.to_pylist() if row["timeframe"] == label]
    return sorted((r["instrument_key"], *(r[name] for name in BARS.names)) for r in found)


def market(label, spans=SPANS):
    return sorted(
        (key, *row.values())
        for key in KEYS
        for first, last in spans
        for row in bars(key, label, first, last).to_pylist()
    )


@pytest.fixture
def uri(tmp_path):
    """The minutes of some months, with a month between of which nothing was asked."""
    uri = str(tmp_path / "store")
    chunks = [(key, *span) for span in SPANS for key in KEYS]
    StoreWriter(uri).commit(
        [stored(*chunk, at=AT + n * timedelta(seconds=1)) for n, chunk in enumerate(chunks)]
    )
    return uri


def test_they_are_the_exchanges_own_bars_to_the_last_paisa(uri):
    """On special sessions and for thin shares too; and a second time there is nothing to do."""
    done = derive(uri)
    assert done.failed == ()
    for label in LABELS:
        assert rows(uri, label) == market(label)
    assert done.bars == sum(len(market(label)) for label in LABELS)
    version = Store(uri).candles_version()
    assert derive(uri).bars == 0
    assert Store(uri).candles_version() == version


def test_each_has_a_receipt_that_tells_of_no_request_and_when_its_minutes_came(uri):
    derive(uri)
    receipts = [r for r in Store(uri).receipts().to_pylist() if r["timeframe"] in LABELS]
    assert {(r["attempts"], r["http_status"], r["run_id"]) for r in receipts} == {(0, None, "run")}
    facts = ("instrument_key", "first", "last", "status", "fetched_at")
    everything = Store(uri).receipts().to_pylist()
    minutes = [[r[name] for name in facts] for r in everything if r["timeframe"] == "1minute"]
    for label in LABELS:
        mine = [r for r in receipts if r["timeframe"] == label]
        assert sorted([r[name] for name in facts] for r in mine) == sorted(minutes)
        assert sum(r["rows"] for r in mine) == len(rows(uri, label))


def test_minutes_that_came_anew_are_made_into_bars_anew(uri):
    """One instrument's month, its prices halved: its longer bars follow, in one place each."""
    derive(uri)
    first, last = SPANS[0]
    halved = bars(SBIN, "1minute", first, last)
    for place in range(1, 5):
        prices = pa.array(halved.column(place).to_numpy() / 2)
        halved = halved.set_column(place, BARS.field(place), prices)
    later = AT + timedelta(hours=2)
    StoreWriter(uri).commit([stored(SBIN, first, last, halved, later)])
    before = Store(uri).candles_version()
    derive(uri)
    for label in LABELS:
        expected = [
            (key, ts, *(price / 2 for price in prices), volume, oi)
            if key == SBIN and ts.astimezone(IST).date().month == 1
            else (key, ts, *prices, volume, oi)
            for key, ts, *prices, volume, oi in market(label)
        ]
        assert rows(uri, label) == expected
    there = sum(len(market(label)) for label in (*LABELS, "1minute"))
    for version in range(before, Store(uri).candles_version() + 1):
        table = pa.table(DeltaTable(f"{uri}/candles", version=version).scan())
        keys = table.group_by(["instrument_key", "timeframe", "ts"]).aggregate([])
        assert keys.num_rows == table.num_rows == there, "a key twice, or a hole"
    assert derive(uri).bars == 0


def test_they_are_put_in_order_at_once_where_that_pays(uri, monkeypatch):
    monkeypatch.setattr(tables, "ROW_GROUP_ROWS", 64)
    monkeypatch.setattr(made_here, "_COMMIT_BYTES", 1)
    derive(uri, wants(["5minute"]))
    made = [p for p in care.partitions(DeltaTable(f"{uri}/candles")) if p.timeframe == "5minute"]
    assert [partition.scattered for partition in made] == [0] * 5
    assert rows(uri, "5minute") == market("5minute")


def test_killed_in_the_middle_it_leaves_whole_chunks_and_makes_the_rest_the_next_time(uri):
    """`kill -9` between commits of one chunk each."""
    code = (
        "import sys; from cluster import derive; derive._COMMIT_BYTES = 1;"
        "from tests.cluster.test_derive import derive as run; run(sys.argv[1])"
    )
    before = Store(uri).candles_version()
    process = subprocess.Popen([sys.executable, "-c", code, uri], cwd=ROOT)
    while Store(uri).candles_version() < before + 3:
        assert process.poll() is None, "it ended before it could be killed"
    process.kill()
    process.wait()
    made = [r for r in Store(uri).receipts().to_pylist() if r["timeframe"] in LABELS]
    assert 3 <= len(made) < len(KEYS) * len(SPANS) * len(LABELS)
    assert sum(r["rows"] for r in made) == sum(len(rows(uri, label)) for label in LABELS)
    derive(uri)
    for label in LABELS:
        assert rows(uri, label) == market(label)


def test_it_does_not_take_its_own_work_for_history_rewritten(uri):
    """Bars that were asked for long ago and differ tell of an old answer, not of a split."""
    old = bars(SBIN, "5minute", *SPANS[0])
    prices = pa.array(old["close"].to_numpy())
    old = old.set_column(4, BARS.field(4), pa.array(old["open"].to_numpy()))
    assert not old["close"].combine_chunks().equals(prices)
    asked = stored(SBIN, *SPANS[0], old, AT - timedelta(days=9), label="5minute")
    StoreWriter(uri).commit([asked])
    derive(uri)
    assert rows(uri, "5minute") == market("5minute")
    assert all(r["outdates"] is None for r in Store(uri).receipts().to_pylist())


def test_bars_that_minutes_say_nothing_of_are_kept_and_told(uri):
    """The provider had them once. It is tried once, not in every run."""
    april = (date(2024, 4, 1), date(2024, 4, 30))
    StoreWriter(uri).commit([stored(SBIN, *april, label="5minute", at=AT - timedelta(days=1))])
    StoreWriter(uri).commit([stored(SBIN, *april, BARS.empty_table())])
    some = wants(["5minute"], [SBIN], april)
    done = derive(uri, some)
    assert [receipt.cause for receipt in done.failed] == [Cause.VANISHED]
    assert len(rows(uri, "5minute")) == bars(SBIN, "5minute", *april).num_rows
    assert derive(uri, some).failed == ()


def test_without_the_reference_only_what_cannot_depend_on_an_opening_is_made(tmp_path):
    uri = str(tmp_path / "store")
    StoreWriter(uri).commit([stored(SBIN, *SPANS[0])])
    derive(uri, wants(keys=[SBIN]))
    made = {r["timeframe"] for r in Store(uri).receipts().to_pylist()}
    assert made == {"1minute", "5minute", "15minute"}
    StoreWriter(uri).commit([stored(REFERENCE, *SPANS[0])])
    derive(uri, wants(keys=[SBIN]))
    expected = [row for row in market("1hour", SPANS[:1]) if row[0] == SBIN]
    assert rows(uri, "1hour") == expected


@pytest.mark.parametrize("forming", [False, True])
def test_of_the_running_day_bars_are_made_once_they_are_over(tmp_path, forming):
    """At 11:02:30 the hour from 10:15 is not; the quarter to eleven has been for a while."""
    uri, day = str(tmp_path / "store"), date(2024, 3, 6)
    at = datetime(2024, 3, 6, 11, 2, 30, tzinfo=IST)
    whole = bars(SBIN, "1minute", day, day)
    so_far = whole.slice(0, (11 - 9) * 60 + 1 - 15)
    StoreWriter(uri).commit([stored(key, day, day, so_far, at) for key in (SBIN, REFERENCE)])
    some = wants(["15minute", "1hour"], [SBIN], (day, day))
    derive(uri, some, at, today=True, forming=forming)
    told = {label: [row[1].astimezone(IST) for row in rows(uri, label)] for label in LABELS}
    last = {label: f"{stamps[-1]:%H:%M}" for label, stamps in told.items() if stamps}
    assert last == (
        {"15minute": "11:00", "1hour": "10:15"}
        if forming
        else {"15minute": "10:45", "1hour": "09:15"}
    )
    finals = pa.table(DeltaTable(f"{uri}/candles").scan(columns=["final"]))["final"]
    assert not any(finals.to_pylist())

    next_day = datetime(2024, 3, 7, 9, tzinfo=IST)
    StoreWriter(uri).commit([stored(key, day, day, at=next_day) for key in (SBIN, REFERENCE)])
    derive(uri, some, next_day)
    assert rows(uri, "1hour") == [
        (SBIN, *r.values()) for r in bars(SBIN, "1hour", day, day).to_pylist()
    ]


def test_what_was_computed_is_told_though_the_store_could_not_be_put_in_order(
    tmp_path, monkeypatch
):
    uri = str(tmp_path / "store")
    StoreWriter(uri).commit([stored(SBIN, *SPANS[0])])

    def full(*_):
        raise StoreError("disk full", uri)

    monkeypatch.setattr(StoreWriter, "tidy", full)
    made = derive(uri, wants(["5minute"], [SBIN], SPANS[0]))
    assert made.bars == len(rows(uri, "5minute")) > 0
