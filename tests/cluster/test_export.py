from __future__ import annotations

import csv
import json
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from actors.market.candles import BARS, Delivery, label_candles
from actors.market.chunk import Chunk, Receipt, Status
from actors.market.errors import UsageError
from actors.market.sessions import IST
from actors.market.timeframe import Timeframe
from actors.writer import selection
from actors.writer.reading import Store
from actors.writer.store import StoreWriter
from cluster.export import Format, export

KEYS = {
    "NSE_EQ|INE062A01020": "SBIN",
    "NSE_INDEX|Nifty 50": "Nifty 50",
    "NSE_EQ|X": 'M&M "quoted", Ltd',
}
FIRST, LAST = date(2024, 1, 1), date(2024, 1, 5)
DAY, MINUTES = Timeframe.parse("1day"), Timeframe.parse("5minute")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Three instruments in two timeframes, with prices that have no short decimal form."""
    uri = str(tmp_path_factory.mktemp("export") / "store")
    at = datetime(2024, 6, 1, tzinfo=IST)
    deliveries = []
    for n, (key, symbol) in enumerate(KEYS.items()):
        for timeframe in (MINUTES, DAY):
            chunk = Chunk(key, symbol, timeframe, FIRST, LAST)
            starts = [datetime(2024, 1, day, tzinfo=IST) for day in range(1, 6)]
            if timeframe is MINUTES:
                starts = [s + timedelta(minutes=555 + 5 * bar) for s in starts for bar in range(75)]
            prices = [(n + 1) / 3 + i * 0.1 for i in range(len(starts))]
            count = list(range(len(starts)))
            bars = pa.table([starts, prices, prices, prices, prices, count, count], schema=BARS)
            receipt = Receipt(
                chunk=chunk, status=Status.STORED, run_id="r", fetched_at=at, rows=len(starts)
            )
            deliveries.append(Delivery(receipt, label_candles(chunk, bars, at)))
    StoreWriter(uri).commit(deliveries)
    return Store(uri)


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            numbers = {name: float(row[name]) for name in ("open", "high", "low", "close")}
            counts = {name: int(row[name]) for name in ("volume", "oi")}
            yield row | numbers | counts | {"final": row["final"] == "true"}


def read_jsonl(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_typed(path):
    """Arrow or Parquet: stamps as a clock in India shows them, with their zone."""
    table = pq.read_table(path) if path.suffix == ".parquet" else pa.ipc.open_file(path).read_all()
    for row in table.to_pylist():
        assert row["ts"].tzinfo == ZoneInfo("Asia/Kolkata")
        yield row | {"ts": row["ts"].isoformat(), "date": str(row["date"])}


READ = {"csv": read_csv, "jsonl": read_jsonl, "parquet": read_typed, "arrow": read_typed}


@pytest.mark.parametrize("form", list(Format))
def test_every_format_comes_back_as_it_stood(store, tmp_path, monkeypatch, form):
    """All columns, exactly, in order; stamps in IST. In pieces, as a big store would be written."""
    monkeypatch.setattr(selection, "ROWS_TOGETHER", 400)
    out = tmp_path / f"candles.{form}"
    done = export(store, format=form, out=out)
    assert (done.rows, done.candles_version) == (3 * (375 + 5), store.candles_version())
    expected = [
        row | {"ts": row["ts"].isoformat(), "date": str(row["date"])}
        for row in store.candles().to_arrow().to_pylist()
    ]
    assert list(READ[form](out)) == expected
    assert expected[0]["ts"] == "2024-01-01T00:00:00+05:30"  # a day starts at midnight in India
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_only_what_was_chosen_is_written(store, tmp_path):
    """By symbol or key, timeframe and days."""
    out = tmp_path / "out.jsonl"
    chosen = {
        "symbols": ["SBIN", "NSE_INDEX|Nifty 50"],
        "timeframe": MINUTES,
        "first": date(2024, 1, 4),
    }
    done = export(store, **chosen, last=LAST, format=Format.JSONL, out=out)
    assert done.rows == 2 * 2 * 75
    rows = read_jsonl(out)
    assert {row["symbol"] for row in rows} == {"SBIN", "Nifty 50"}
    assert {(row["timeframe"], row["date"]) for row in rows} == {
        ("5minute", "2024-01-04"),
        ("5minute", "2024-01-05"),
    }


def test_a_file_that_exists_is_kept_unless_told_otherwise(store, tmp_path):
    """And is replaced as a whole when told."""
    out = tmp_path / "out.csv"
    out.write_text("precious")
    with pytest.raises(UsageError, match="exists"):
        export(store, format=Format.CSV, out=out)
    assert out.read_text() == "precious"
    assert export(store, timeframe=DAY, format=Format.CSV, out=out, overwrite=True).rows == 15
    assert len(list(read_csv(out))) == 15


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"symbols": ["sbin"]}, "'sbin'; did you mean SBIN"),
        ({"symbols": ["' OR TRUE --"]}, "knows no"),
        (
            {"timeframe": Timeframe.parse("1hour")},
            "holds no 1hour, only 5minute, 1day",
        ),
        ({"first": date(2025, 1, 1)}, "no candle fits .* 1day from 2024-01-01 to 2024-01-05"),
        ({"symbols": []}, "no candle fits"),
    ],
)
def test_a_choice_that_holds_nothing_is_refused(store, tmp_path, chosen, said):
    """In the user's words, and without leaving a file, or taking one away."""
    out = tmp_path / "out.parquet"
    out.write_text("precious")
    with pytest.raises(UsageError, match=said):
        export(store, **chosen, format=Format.PARQUET, out=out, overwrite=True)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


def test_a_folder_and_the_stores_own_are_no_place_for_a_file(store, tmp_path):
    """There it would pass for a part of a table, or be cleared away with what that needs no more."""
    (tmp_path / "way").symlink_to(store.uri)
    with pytest.raises(UsageError, match="is a folder; name a file in it"):
        export(store, format=Format.CSV, out=tmp_path, overwrite=True)
    for place in (f"{store.uri}/candles", store.uri, tmp_path / "way" / "chunks"):
        with pytest.raises(UsageError, match="is in the store's own folder"):
            export(store, format=Format.CSV, out=Path(place) / "x.csv")
        assert not (Path(place) / "x.csv").exists()


@pytest.mark.parametrize("form", list(Format))
def test_stdout_takes_every_format_as_a_file_does(store, tmp_path, monkeypatch, form):
    """And nothing else stands there."""
    named, piped = tmp_path / f"named.{form}", tmp_path / f"piped.{form}"
    export(store, format=form, out=named)
    with piped.open("w") as stdout:
        monkeypatch.setattr("cluster.export._STDOUT", stdout.fileno())
        assert export(store, format=form, out=None).out == "-"
    assert list(READ[form](piped)) == list(READ[form](named))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
@pytest.mark.parametrize("form", list(Format))
def test_a_full_disk_behind_stdout_is_said(store, monkeypatch, form):
    with Path("/dev/full").open("wb") as full:
        monkeypatch.setattr("cluster.export._STDOUT", full.fileno())
        with pytest.raises(UsageError, match=r"stdout cannot be written \(No space left"):
            export(store, format=form, out=None)


def test_an_empty_store_and_a_missing_folder_are_said(tmp_path):
    """Before anything is written."""
    nowhere = Store(str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="there is no store"):
        export(nowhere, format=Format.CSV, out=tmp_path / "out.csv")
    with pytest.raises(UsageError, match="there is no folder"):
        export(nowhere, format=Format.CSV, out=tmp_path / "no" / "out.csv")
    assert list(tmp_path.iterdir()) == []
