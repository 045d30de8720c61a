"""Care of a store: rows are moved, never changed, and only what no kept version needs goes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import unquote

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.market.errors import StoreError, UsageError, WriterFenced
from actors.writer import care, cleaning, ordering, selection, tables
from actors.writer.care import Partition
from actors.writer.data_files import DataFile
from actors.writer.reading import Store
from actors.writer.store import StoreWriter

ROOT = Path(__file__).parents[3]
KEYS = [f"NSE_EQ|{n}" for n in range(9)]
JANUARY, FEBRUARY = (date(2024, 1, 1), date(2024, 1, 31)), (date(2024, 2, 1), date(2024, 2, 29))
WEEK = timedelta(days=7)


@pytest.fixture
def small(monkeypatch):
    """Few rows make several row groups and files."""
    monkeypatch.setattr(tables, "ROW_GROUP_ROWS", 16)
    monkeypatch.setattr(tables, "FILE_BYTES", 24_000)
    monkeypatch.setattr(selection, "ROWS_TOGETHER", 40)


def gaining(found):
    return [partition for partition in found if partition.gains]


def put_in_order(uri) -> int:
    return StoreWriter(uri).tend(care.ordering(uri, gaining))


# Which partitions

files = st.builds(
    DataFile,
    path=st.sampled_from(["timeframe=1day/period=2024/part-1", "timeframe=1day/ordered-1"]),
    size_bytes=st.integers(1, care.AT_ONCE_BYTES),
    rows=st.integers(1, 12 * tables.ROW_GROUP_ROWS),
    partition=st.just({}),
    least=st.just({}),
    greatest=st.just({}),
)
some_partitions = st.lists(
    st.builds(
        Partition,
        timeframe=st.sampled_from(["1day", "1minute", "1month"]),
        period=st.sampled_from(["2023", "2024", "2023-12", "2024-01"]),
        files=st.lists(files, min_size=1, max_size=4).map(tuple),
    ).filter(lambda p: ("-" in p.period) == (p.timeframe == "1minute")),
    max_size=6,
)


@given(some_partitions)
def test_a_run_orders_what_is_over_and_most_scattered_within_its_means(found):
    """Whatever it leaves is running, not scattered enough, or too much beside what is worse."""
    chosen = care.paying(found, date(2024, 1, 15))
    assert sum(partition.size_bytes for partition in chosen) <= care.AT_ONCE_BYTES
    for partition in found:
        taken_bytes = sum(p.size_bytes for p in chosen if p.scattered >= partition.scattered)
        if partition.period in ("2024", "2024-01") or partition.scattered < tables.MANY:
            assert partition not in chosen
        elif partition not in chosen:
            assert taken_bytes + partition.size_bytes > care.AT_ONCE_BYTES


# Moving rows

spans = st.tuples(
    st.sampled_from(KEYS),
    st.sampled_from(["1day", "5minute"]),
    st.integers(0, 50),
    st.integers(0, 30),
)


@given(st.lists(st.lists(spans, min_size=1, max_size=4), min_size=1, max_size=6), st.data())
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_rows_are_moved_into_order_and_none_is_changed(kit, small, batches, data):
    """In no version is a hole or a double; files do not overlap; a second time nothing is done."""
    with tempfile.TemporaryDirectory() as folder:
        uri = f"{folder}/store"
        writer = StoreWriter(uri)
        for price, batch in enumerate(batches, start=1):
            days = [(key, JANUARY[0] + timedelta(n), m, label) for key, label, n, m in batch]
            writer.commit(
                [
                    kit.stored(kit.chunk(key, first, first + timedelta(more), label), float(price))
                    for key, first, more, label in days
                ]
            )
        before = {version: sorted(kit.rows(uri, version)) for version in range(1, version_of(uri))}
        rows, receipts = sorted(kit.rows(uri)), kit.receipts(uri)
        old = version_of(uri)
        new = put_in_order(uri)
        assert new - old <= len(
            {place_of(path) for path in DeltaTable(f"{uri}/candles").file_uris()}
        )
        assert all(sorted(kit.rows(uri, version)) == rows for version in range(old, new + 1))
        assert all(sorted(kit.rows(uri, version)) == seen for version, seen in before.items())
        assert len({row[:3] for row in rows}) == len(rows)
        assert kit.receipts(uri) == receipts
        assert_in_order(uri)
        assert put_in_order(uri) == new
        # And it is a store like any other to who writes next.
        writer = StoreWriter(uri)
        key = data.draw(st.sampled_from(KEYS))
        writer.commit([kit.stored(kit.chunk(key, *JANUARY), 99.0)])
        assert [r[3] for r in kit.rows(uri) if r[3] == 99.0] == [99.0] * 31
        assert len({row[:3] for row in kit.rows(uri)}) == len(kit.rows(uri))


def version_of(uri) -> int:
    return DeltaTable(f"{uri}/candles").version()


def place_of(path) -> str:
    return path.rpartition("/")[0]


def assert_in_order(uri) -> None:
    """Read without our code: within a partition rows ascend from file to file, or fill one row group."""
    found: dict[str, list[list[tuple]]] = {}
    for path in map(unquote, DeltaTable(f"{uri}/candles").file_uris()):
        file = pq.ParquetFile(path)
        rows = file.read(columns=["instrument_key", "ts"]).to_pydict()
        assert file.metadata.row_group(0).num_rows <= tables.ROW_GROUP_ROWS
        found.setdefault(place_of(path), []).append(list(zip(*rows.values(), strict=True)))
    for partition in found.values():
        in_sequence = [row for rows in sorted(partition) for row in rows]
        if len(in_sequence) > tables.ROW_GROUP_ROWS:
            assert in_sequence == sorted(in_sequence)
        else:
            assert len(partition) == 1


def test_a_partition_that_is_not_what_the_log_says_is_left_alone(kit, uri, small):
    """Rather than losing a row."""
    StoreWriter(uri).commit([kit.stored(kit.chunk(key, *JANUARY)) for key in KEYS])
    writer = StoreWriter(uri)
    (found,) = care.partitions(writer._candles)
    more = [file._replace(rows=file.rows + 1) for file in found.files]
    with pytest.raises(StoreError, match="2024 holds 279 rows where its log speaks of 280"):
        ordering.order(writer._candles, uri, more)
    assert version_of(uri) == 1


@pytest.mark.parametrize("mine", ["merge", "order"])
@pytest.mark.parametrize("other", ["merge", "order"])
def test_two_who_move_rows_at_once_do_not_double_them(kit, uri, small, mine, other):
    """The engine would let them: whoever comes second is turned away, and nothing of his stays."""
    steps = {"merge": care.ordering(uri, lambda _: ()), "order": care.ordering(uri, gaining)}
    for key in KEYS:
        StoreWriter(uri).commit([kit.stored(kit.chunk(key, *JANUARY))])
    rows = sorted(kit.rows(uri))
    late, quick = StoreWriter(uri), StoreWriter(uri)
    quick.tend(steps[other])
    with pytest.raises(WriterFenced):
        late.tend(steps[mine])
    assert sorted(kit.rows(uri)) == rows
    assert len(rows) == len(KEYS) * 31


def test_a_writer_goes_on_when_rows_were_moved_under_it(kit, uri, small):
    """As beside a run in a bucket. It appends, replaces and notes receipts as if nothing had been."""
    writer = StoreWriter(uri)
    for key in KEYS:
        writer.commit([kit.stored(kit.chunk(key, *JANUARY), 1.0)])
    moved = put_in_order(uri)
    writer.commit([kit.stored(kit.chunk(KEYS[0], *JANUARY), 2.0)])
    assert version_of(uri) == moved + 1
    put_in_order(uri)
    writer.commit([kit.stored(kit.chunk(KEYS[1], *FEBRUARY), 3.0)])
    put_in_order(uri)
    StoreWriter(uri).tend(partial(clean, timedelta(0)))
    writer.commit([kit.empty(kit.chunk(KEYS[2], *FEBRUARY))])
    prices = Counter(row[3] for row in kit.rows(uri))
    assert prices == {1.0: 8 * 31, 2.0: 31, 3.0: 29}
    assert len({row[:3] for row in kit.rows(uri)}) == len(kit.rows(uri))
    assert len(kit.receipts(uri)) == len(KEYS) + 3


def test_moving_rows_beside_a_writer_stops_at_its_next_commit(kit, uri, small):
    writer = StoreWriter(uri)
    for days in (JANUARY, FEBRUARY):
        writer.commit([kit.stored(kit.chunk(key, *days, "5minute")) for key in KEYS])
    caretaker = StoreWriter(uri)

    def while_it_writes(candles, chunks):
        for step in care.ordering(uri, gaining)(candles, chunks):
            writer.commit([kit.stored(kit.chunk("NSE_EQ|new", *JANUARY, "5minute"), 7.0)])
            yield step

    with pytest.raises(WriterFenced):
        caretaker.tend(while_it_writes)
    rows = kit.rows(uri)
    assert len({row[:3] for row in rows}) == len(rows) == len(KEYS) * 60 * 2 + 31 * 2


def test_a_long_log_is_summed_up(kit, uri):
    writer = StoreWriter(uri)
    for n in range(10):
        writer.commit([kit.stored(kit.chunk(f"NSE_EQ|{n}", *JANUARY))])
    writer.tend(care.ordering(uri, gaining))
    for name in ("candles", "chunks"):
        log = Path(uri, name, "_delta_log")
        last = json.loads((log / "_last_checkpoint").read_text())
        assert last["version"] == DeltaTable(f"{uri}/{name}").version()
    assert len(kit.rows(uri)) == 310


# kill -9

TENDING = """
import os, signal, sys
from actors.writer import care, tables
from actors.writer.folder import Folder
from actors.writer.store import StoreWriter

uri, where = sys.argv[1:]
tables.ROW_GROUP_ROWS, tables.FILE_BYTES = 16, 24_000
owner, name, times = where.split(".")
owner = {"tables": tables, "Folder": Folder, "care": care}[owner]
step, left = getattr(owner, name), [int(times)]

def stop(*arguments):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*arguments)

setattr(owner, name, stop)
StoreWriter(uri).tend(care.ordering(uri, lambda found: [one for one in found if one.gains]))
"""


@pytest.mark.parametrize(
    "where", ["Folder.write.1", "tables.replace_files.1", "tables.replace_files.2", "care.merge.1"]
)
def test_killed_in_the_midst_it_leaves_the_store_whole(kit, uri, small, where):
    """And the next one does the rest; what was half written goes with the next clean-up."""
    writer = StoreWriter(uri)
    for price, days in enumerate((JANUARY, FEBRUARY, JANUARY), start=1):
        chunks = [kit.chunk(key, *days, "5minute") for key in KEYS]
        writer.commit([kit.stored(chunk, float(price)) for chunk in chunks])
    rows, receipts = sorted(kit.rows(uri)), kit.receipts(uri)
    dying = subprocess.run(
        [sys.executable, "-c", TENDING, uri, where],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert dying.returncode == -9
    for version in range(3, version_of(uri) + 1):
        assert sorted(kit.rows(uri, version)) == rows
    put_in_order(uri)
    assert sorted(kit.rows(uri)) == rows
    assert kit.receipts(uri) == receipts
    assert_in_order(uri)
    StoreWriter(uri).tend(partial(clean, timedelta(0)))
    left = {path.name for path in Path(uri, "candles").glob("timeframe=*/*/*")}
    assert left == {Path(file).name for file in DeltaTable(f"{uri}/candles").file_uris()}


# Clearing away


def clean(keep, candles, chunks):
    for table in (candles, chunks):
        cleaning.remove(table, keep, datetime.now(UTC))
        yield


def age(uri, days) -> None:
    """Let all that has happened have happened so many days earlier."""
    earlier_ms = days * 86_400_000
    stamps = re.compile(r'("(?:timestamp|deletionTimestamp|modificationTime)":)(\d+)')
    for path in Path(uri, "candles").rglob("*"):
        if path.suffix == ".json":
            text = path.read_text()
            path.write_text(stamps.sub(lambda m: f"{m[1]}{int(m[2]) - earlier_ms}", text))
        if path.is_file():
            at = path.stat().st_mtime - days * 86_400
            os.utime(path, (at, at))


@pytest.fixture
def aged(kit, uri):
    """Versions 1 to 3 of 40, 20 and 3 days ago, each in the place of the one before."""
    for days in (20, 17, 3):
        price = float(version_of(uri) + 1) if Path(uri).exists() else 1.0
        StoreWriter(uri).commit([kit.stored(kit.chunk(KEYS[0], *JANUARY), price)])
        age(uri, days)
    DeltaTable(f"{uri}/candles").create_checkpoint()
    return uri


@pytest.mark.parametrize(
    ("keep_days", "readable"),
    [(2, [3]), (7, [2, 3]), (10, [2, 3]), (30, [1, 2, 3]), (50, [1, 2, 3])],
)
def test_versions_of_the_kept_days_stay_and_the_others_are_refused_in_words(
    aged, kit, keep_days, readable
):
    """Also of days that the table itself no longer remembers; and it is told beforehand."""
    keep, now = timedelta(days=keep_days), datetime.now(UTC)
    candles = DeltaTable(f"{aged}/candles")
    assert len(cleaning.removable(candles, keep, now)) == 3 - len(readable)
    foretold = cleaning.oldest_readable(candles.history(), now - keep)
    StoreWriter(aged).tend(partial(clean, keep))
    for version in (1, 2, 3):
        if version in readable:
            seen = Store(aged).at(version).candles().to_arrow()
            assert set(seen["close"].to_pylist()) == {float(version)}
        else:
            with pytest.raises(UsageError, match="files of it have been cleaned away"):
                Store(aged).at(version)
    oldest = cleaning.oldest_readable(DeltaTable(f"{aged}/candles").history())
    assert max(foretold, 1) in readable
    for version in range(max(oldest, 1), version_of(aged) + 1):
        assert Store(aged).at(version).candles().to_arrow().num_rows == 31


def test_what_a_killed_writer_left_goes_when_it_is_old(kit, aged):
    """Young files may be another's who is about to commit them."""
    folder = Path(aged, "candles", "timeframe=1day", "period=2024")
    for name, days in (("old", 9), ("young", 0)):
        (folder / f"{name}.parquet").write_bytes(b"half")
        at = (datetime.now(UTC) - timedelta(days=days)).timestamp()
        os.utime(folder / f"{name}.parquet", (at, at))
    StoreWriter(aged).tend(partial(clean, WEEK))
    assert not (folder / "old.parquet").exists()
    assert (folder / "young.parquet").exists()
