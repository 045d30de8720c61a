"""A store in a bucket is asked as a folder is, over a real S3 server."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest

from cluster import Screen, Store
from cluster.screen import files
from tests.bucket import NAME
from tests.cluster.screen.market import QUARTER, walk, weekdays
from tests.cluster.screen.stored import stored, write

DAYS = weekdays(60)
NOW = datetime(2026, 6, 2, tzinfo=UTC)


@pytest.fixture
def places(bucket, tmp_path):
    """The same store in a bucket and in a folder, of two commits."""
    uris = f"s3://{NAME}/{uuid.uuid4().hex}/store", str(tmp_path / "store")
    for uri in uris:
        write(uri, [stored(symbol, walk(60, n), DAYS) for n, symbol in enumerate("ABC")])
        write(uri, [stored(s, walk(250, n), DAYS[-10:], QUARTER) for n, s in enumerate("ABC")])
    return uris


SCREEN = """
timeframes: {day: 1day, entry: 15minute}
where: day.close > day.SMA(close, 20) / 2 and entry.close > 0
rank: entry.RSI(close, 14)
show: {average: "day.SMA(close, 20)"}
"""


def test_a_store_in_a_bucket_is_answered_as_one_in_a_folder(places, tmp_path):
    """At the newest and as it was before; as a file for machines and as a page with charts, too."""
    path = tmp_path / "mine.yaml"
    path.write_text(SCREEN)
    screen, told = Screen.load(path), []
    for n, uri in enumerate(places):
        store, parquet, page = Store(uri), tmp_path / f"{n}.parquet", tmp_path / f"{n}.html"
        answer = screen.run(store, on=DAYS[-2], now=NOW)
        assert answer.found == 3
        early = Screen("close > 0", timeframe="1day").run(store, as_of=1, now=NOW)
        files.save(answer, files.Form.PARQUET, parquet)
        files.save(answer, files.Form.HTML, page, screen.drawings(store, answer))
        facts = pq.read_schema(parquet).metadata[files.METADATA].decode()
        said = json.dumps([answer.as_dict(), early.as_dict()]), facts, page.read_text()
        told.append(([each.replace(uri, "") for each in said], pq.read_table(parquet).to_pylist()))
    assert told[0] == told[1]
