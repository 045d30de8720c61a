"""`candlefleet optimize`: what it says, and what it refuses."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from filelock import FileLock
from typer.testing import CliRunner

from actors.market.candles import BARS, Delivery, label_candles
from actors.market.chunk import Chunk, Receipt, Status
from actors.market.errors import UsageError
from actors.market.sessions import IST
from actors.market.timeframe import Timeframe
from actors.writer.store import StoreWriter
from cluster.cli import app
from cluster.occupancy import LOCK_NAME

FIRST = date(2024, 1, 1)


def delivery(key: str, price: float) -> Delivery:
    chunk = Chunk(key, key, Timeframe.parse("1day"), FIRST, FIRST + timedelta(days=30))
    starts = [datetime(2024, 1, day, tzinfo=IST) for day in range(1, 32)]
    prices, counts = [price] * 31, [1] * 31
    bars = pa.table([starts, prices, prices, prices, prices, counts, counts], schema=BARS)
    at = datetime(2024, 6, 1, tzinfo=UTC)
    receipt = Receipt(chunk=chunk, status=Status.STORED, run_id="r", fetched_at=at, rows=31)
    return Delivery(receipt, label_candles(chunk, bars, at))


@pytest.fixture
def store(tmp_path) -> str:
    writer = StoreWriter(str(tmp_path / "store"))
    for number in range(3):
        writer.commit([delivery(f"NSE_EQ|{number}", 1.0)])
    writer.commit([delivery("NSE_EQ|0", 2.0)])
    return writer.uri


def told(*arguments: str) -> dict:
    done = CliRunner().invoke(app, ["optimize", *arguments, "--json"], catch_exceptions=False)
    return json.loads(done.stdout.splitlines()[-1])


def version(store: str) -> int:
    return DeltaTable(f"{store}/candles").version()


def test_it_tells_before_and_after_and_does_nothing_twice(store):
    """A dry run foretells it and changes nothing; versions it calls readable are."""
    foretold = told("--store", store, "--dry-run")
    assert version(store) == 4
    assert foretold["ordered"] == ["1day 2024"]
    assert foretold["timeframes"][0]["after"] is None
    done = told("--store", store)
    sizes = done["timeframes"][0]
    assert (sizes["before"]["files"], sizes["after"]["files"]) == (3, 1)
    assert sizes["before"] == foretold["timeframes"][0]["before"]
    assert 0 < sizes["after"]["bytes"] < sizes["before"]["bytes"]
    assert (done["candles_version"], done["oldest_version"]) == (version(store), 0)
    assert done["freed"] == {"files": 0, "bytes": 0}
    assert done["kept"]["files"] == 4
    again = told("--store", store)
    assert again["candles_version"] == version(store) == done["candles_version"]
    assert again["ordered"] == []
    lines = CliRunner().invoke(app, ["optimize", "--store", store]).stderr
    assert "Everything is in order already." in lines


def test_what_only_older_versions_need_goes_when_that_is_said(store):
    told("--store", store)
    foretold = told("--store", store, "--keep", "0", "--force", "--dry-run")
    done = told("--store", store, "--keep", "0", "--force")
    assert done["freed"] == foretold["freed"]
    assert done["freed"]["files"] == 4
    assert done["kept"]["files"] == 0
    assert done["oldest_version"] > 4
    again = told("--store", store, "--keep", "0", "--force")
    assert again["candles_version"] == done["candles_version"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--keep", "0"], "--keep: who reads just now would lose files"),
        (["--store", "s3://bucket-1/x", "--keep", "0", "--force"], "keep at least 1 day"),
        (["--store", "no-such-store"], "there is no store at no-such-store yet"),
    ],
)
def test_what_would_hurt_somebody_is_refused(store, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=words):
        CliRunner().invoke(app, ["optimize", "--store", store, *arguments], catch_exceptions=False)
    assert version(store) == 4
    assert not (tmp_path / "no-such-store").exists()


def test_it_is_refused_while_a_run_is_writing(store):
    with (
        FileLock(f"{store}/{LOCK_NAME}"),
        pytest.raises(UsageError, match="another run is writing to it"),
    ):
        CliRunner().invoke(app, ["optimize", "--store", store], catch_exceptions=False)
    assert version(store) == 4
