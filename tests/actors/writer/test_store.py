from __future__ import annotations

import json
import os
import resource
import shutil
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from actors.market.candles import BARS, CANDLES
from actors.market.errors import StoreError, UsageError, WriterFenced
from actors.writer import tables
from actors.writer.reading import Store
from actors.writer.receipts import RECEIPTS
from actors.writer.store import StoreWriter

SBIN = "NSE_EQ|INE062A01020"
NIFTY = "NSE_INDEX|Nifty 50"
JANUARY = (date(2024, 1, 1), date(2024, 1, 31))
FEBRUARY = (date(2024, 2, 1), date(2024, 2, 29))


def test_any_tool_reads_what_was_committed(kit, tmp_path):
    """DuckDB over the table's files, and pandas over its scan, see the same prices."""
    uri = str(tmp_path / "plain")  # file_uris() writes other characters as a URL does
    StoreWriter(uri).commit([kit.stored(kit.chunk(SBIN, *JANUARY, "5minute"), 101.5)])
    table = DeltaTable(f"{uri}/candles")
    query = f"SELECT count(*), min(close), max(close) FROM read_parquet({table.file_uris()})"
    assert duckdb.sql(query).fetchall() == [(62, 101.5, 101.5)]
    frame = pa.table(table.scan()).to_pandas()
    assert (len(frame), frame["close"].unique().tolist()) == (62, [101.5])


def test_the_table_says_what_its_columns_mean(kit, uri):
    """The schema reaches the table with units and meanings, and comes back the same."""
    StoreWriter(uri).commit([kit.stored(kit.chunk(SBIN, *JANUARY))])
    handed_out = Store(uri).candles(columns=BARS.names).to_arrow().schema
    assert all(handed_out.field(name).metadata == BARS.field(name).metadata for name in BARS.names)
    assert Store(uri).receipts().schema.equals(RECEIPTS, check_metadata=True)
    stored = pa.schema(DeltaTable(f"{uri}/candles").schema())
    assert stored.field("oi").metadata == CANDLES.field("oi").metadata
    assert DeltaTable(f"{uri}/candles").metadata().partition_columns == ["timeframe", "period"]


def test_receipts_name_the_version_that_brought_the_rows(kit, uri):
    """Stored ones do; those without rows name none."""
    writer = StoreWriter(uri)
    first = writer.commit(
        [kit.stored(kit.chunk(SBIN, *JANUARY)), kit.empty(kit.chunk(NIFTY, *JANUARY))]
    )
    second = writer.commit([kit.stored(kit.chunk(SBIN, *FEBRUARY))])
    assert second.candles_version > first.candles_version
    found = Store(uri).receipts().to_pylist()
    versions = {(row["symbol"], row["first"]): row["candles_version"] for row in found}
    assert versions == {
        ("INE062A01020", JANUARY[0]): first.candles_version,
        ("Nifty 50", JANUARY[0]): None,
        ("INE062A01020", FEBRUARY[0]): second.candles_version,
    }


def test_a_receipt_comes_back_with_every_fact(kit, uri):
    """Also by way of a commit's metadata, which is how each stored one travels."""
    stored, failed = kit.stored(kit.chunk(SBIN, *JANUARY)), kit.failed(kit.chunk(NIFTY, *JANUARY))
    StoreWriter(uri).commit([stored, failed])
    rows = {row["status"]: row for row in Store(uri).receipts().to_pylist()}
    for delivery in (stored, failed):
        receipt = delivery.receipt
        row = rows[receipt.status]
        assert row["chunk_id"] == receipt.chunk.id
        for name in set(RECEIPTS.names) & set(type(receipt).__slots__) - {"chunk"}:
            assert row[name] == getattr(receipt, name), name


def test_two_writers_the_stale_one_is_turned_away(kit, uri):
    """Whoever missed a commit may neither append, replace nor merge; nothing of his stays."""
    stale = [StoreWriter(uri) for _ in range(3)]
    ours = StoreWriter(uri)
    ours.commit([kit.stored(kit.chunk(SBIN, *JANUARY), 1.0)])
    with pytest.raises(WriterFenced, match="another writer"):
        stale[0].commit([kit.stored(kit.chunk(SBIN, *JANUARY), 2.0)])
    with pytest.raises(WriterFenced):
        stale[1].commit([kit.empty(kit.chunk(SBIN, *JANUARY))])
    with pytest.raises(StoreError, match="opened anew"):
        stale[0].tidy(date(2000, 1, 1))
    assert {row[3] for row in kit.rows(uri)} == {1.0}
    assert len(kit.receipts(uri)) == 1
    ours.commit([kit.stored(kit.chunk(SBIN, *JANUARY), 3.0)])
    assert {row[3] for row in kit.rows(uri)} == {3.0}


@pytest.mark.parametrize("commits", [0, 1000])
def test_a_writer_that_missed_only_receipts_is_turned_away_before_it_writes(kit, uri, commits):
    """Whoever follows finds no rows whose receipts are missing; also where its tables are opened anew."""
    stale, ours = StoreWriter(uri), StoreWriter(uri)
    stale._opened -= commits
    ours.commit([kit.empty(kit.chunk(NIFTY, *JANUARY))])
    with pytest.raises(WriterFenced):
        stale.commit([kit.stored(kit.chunk(SBIN, *JANUARY))])
    assert kit.rows(uri) == []
    ours.commit([kit.stored(kit.chunk(SBIN, *JANUARY))])
    assert len(kit.rows(uri)) == 31


def test_a_merge_beside_another_writer_does_not_blind_the_fence(kit, uri):
    """Merging brings the other's rows into view; the writer must not take them for its own."""
    for month in range(1, 10):
        chunk = kit.chunk(f"NSE_EQ|{month}", *JANUARY)
        StoreWriter(uri).commit([kit.stored(chunk)])
    stale, ours = StoreWriter(uri), StoreWriter(uri)
    ours.commit([kit.stored(kit.chunk(SBIN, *JANUARY), 1.0)])
    with pytest.raises(WriterFenced):
        stale.tidy(date(2000, 1, 1))
    assert len({row[:3] for row in kit.rows(uri)}) == len(kit.rows(uri)) == 310


def test_what_a_crash_left_unfinished_is_read_back_through_checkpoints(kit, uri):
    """Receipts of a hundred commits are finished from the log alone, a merge between them."""
    writer = StoreWriter(uri)
    for n in range(110):
        writer._put([kit.stored(kit.chunk(f"NSE_EQ|{n}", *JANUARY), days=[JANUARY[0]])], None)
    writer.tidy(date(2000, 1, 1))
    for n in range(110, 120):
        writer._put([kit.stored(kit.chunk(f"NSE_EQ|{n}", *JANUARY), days=[JANUARY[0]])], None)
    assert list(Path(uri, "candles", "_delta_log").glob("*.checkpoint.parquet"))
    assert kit.receipts(uri) == []
    assert Store(uri).receipts().num_rows == 120
    StoreWriter(uri)
    assert len(kit.receipts(uri)) == len(set(kit.receipts(uri))) == 120
    found = Store(uri).receipts()
    assert sorted(found["candles_version"].to_pylist()) == [*range(1, 111), *range(112, 122)]


def test_two_that_finish_the_same_crash_are_both_open(kit, uri, monkeypatch):
    """One of them sees its receipts come from the other, and looks again."""
    StoreWriter(uri)._put([kit.stored(kit.chunk(SBIN, *JANUARY))], None)
    put = tables.put_receipts

    def put_second(*arguments):
        monkeypatch.setattr(tables, "put_receipts", put)
        StoreWriter(uri)
        put(*arguments)

    monkeypatch.setattr(tables, "put_receipts", put_second)
    StoreWriter(uri).commit([kit.stored(kit.chunk(NIFTY, *JANUARY))])
    assert len(kit.receipts(uri)) == len(set(kit.receipts(uri))) == 2


def test_the_log_is_never_cleaned_up_by_itself(kit, uri):
    """Else the receipts of a crash long ago could be gone."""
    StoreWriter(uri)
    for name in ("candles", "chunks"):
        configuration = DeltaTable(f"{uri}/{name}").metadata().configuration
        assert configuration["delta.enableExpiredLogCleanup"] == "false"


def test_lost_receipts_are_no_silent_hole(kit, uri):
    """A foreign tool that jumps our numbers is noticed by readers and writers."""
    StoreWriter(uri).commit([kit.stored(kit.chunk(SBIN, *JANUARY))])
    write_deltalake(
        f"{uri}/candles",
        CANDLES.empty_table(),
        mode="append",
        commit_properties=CommitProperties(app_transactions=[Transaction(tables.APP, 9)]),
    )
    for look in (Store(uri).receipts, lambda: StoreWriter(uri)):
        with pytest.raises(StoreError, match="log of commits is cut"):
            look()


def test_quarantined_rows_lie_in_one_file_for_each_chunk_and_run(kit, uri):
    """A repeat takes the place of the first; another run has its own."""
    writer = StoreWriter(uri)
    chunk = kit.chunk("NSE_EQ|../'odd\" name", *JANUARY)
    writer.commit([kit.quarantine(kit.stored(chunk), "first")])
    writer.commit([kit.quarantine(kit.stored(chunk), "second")])
    writer.commit([kit.quarantine(kit.stored(chunk, run_id="other"), "third")])
    files = list(Path(uri, "quarantine").iterdir())
    assert sorted(pq.read_table(f)["reason"].to_pylist() for f in files) == [["second"], ["third"]]


def test_a_delivery_that_would_break_the_law_is_refused_whole(kit, uri):
    """Rows out of its span, rows twice, a receipt that denies them: nothing is written."""
    writer = StoreWriter(uri)
    good = kit.stored(kit.chunk(SBIN, *JANUARY))
    narrow = kit.chunk(NIFTY, date(2024, 1, 2), date(2024, 1, 3))
    outside = kit.stored(narrow, days=[date(2024, 1, 4)])
    twice = kit.stored(narrow, days=[date(2024, 1, 2)] * 2)
    unsaid = type(good)(kit.empty(kit.chunk(SBIN, *JANUARY)).receipt, good.candles)
    for bad, said in ((outside, "outside its span"), (twice, "twice"), (unsaid, "says empty")):
        with pytest.raises(ValueError, match=said):
            writer.commit([good, bad])
    assert kit.rows(uri) == []
    assert writer.commit([good]).rows == 31


@pytest.mark.parametrize("unfit", ["has#hash", "has%20percent", "what?", "a[b]"])
def test_a_path_the_format_cannot_keep_is_refused(tmp_path, unfit):
    """Before anything is written there."""
    with pytest.raises(UsageError, match="cannot hold"):
        StoreWriter(str(tmp_path / unfit))
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_store_is_refused_early(kit, tmp_path):
    """A file, a folder of other things, a folder of files where a table should be."""
    (tmp_path / "file").write_text("no store")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("")
    (tmp_path / "odd" / "candles").mkdir(parents=True)
    (tmp_path / "odd" / "candles" / "part.parquet").write_text("")
    refusals = [("file", "is a file"), ("photos", "cat.jpg"), ("odd", "no Delta table")]
    refusals += [("file/below", "lies below .*/file, which is a file")]
    for name, said in refusals:
        with pytest.raises(StoreError, match=said):
            StoreWriter(str(tmp_path / name))
    assert (tmp_path / "photos").is_dir()
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["cat.jpg"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to read-only folders")
def test_a_read_only_folder_is_refused_early(tmp_path):
    """In words, when the store is opened and not when the first rows come."""
    tmp_path.chmod(0o555)
    with pytest.raises(StoreError, match="Permission denied"):
        StoreWriter(str(tmp_path))


def test_a_full_disk_is_said_in_words_and_hurts_nothing(kit, uri):
    """Whichever write fails, what stood still stands; and a new writer goes on."""
    writer = StoreWriter(uri)
    writer.commit([kit.stored(kit.chunk(SBIN, *JANUARY), 1.0)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (100, 1_500, 4_500):  # fails at the rows, or at the log
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            with pytest.raises(StoreError) as refusal:
                writer.commit([kit.stored(kit.chunk(SBIN, *JANUARY), 2.0) for _ in range(30)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert "File too large" in str(refusal.value)
        assert "\n" not in str(refusal.value)
        writer = StoreWriter(uri)
        assert len(kit.rows(uri)) == 31
    writer.commit([kit.stored(kit.chunk(SBIN, *JANUARY), 3.0)])
    assert {row[3] for row in kit.rows(uri)} == {3.0}


def test_a_corrupt_table_is_said_in_words(kit, uri):
    """By readers and writers, without the engine's stack."""
    StoreWriter(uri).commit([kit.stored(kit.chunk(SBIN, *JANUARY))])
    log = Path(uri, "candles", "_delta_log")
    (log / f"{0:020}.json").write_text("garbage")
    for look in (Store(uri).candles, lambda: StoreWriter(uri)):
        with pytest.raises(StoreError) as refusal:
            look()
        assert "unknown" not in str(refusal.value)
        assert "\n" not in str(refusal.value)


def test_merging_pays_only_where_there_are_many_small_files(kit, uri):
    """Nine commits leave nine files; afterwards one. A second merge finds nothing to do."""
    writer = StoreWriter(uri)
    for n in range(9):
        writer.commit([kit.stored(kit.chunk(f"NSE_EQ|{n}", *JANUARY))])
    before = sorted(kit.rows(uri))
    version = writer.tidy(date(2000, 1, 1))
    assert len(DeltaTable(f"{uri}/candles").file_uris()) == 1
    assert len(DeltaTable(f"{uri}/chunks").file_uris()) == 1
    assert sorted(kit.rows(uri)) == before
    assert writer.tidy(date(2000, 1, 1)) == version
    assert writer.commit([kit.stored(kit.chunk(SBIN, *JANUARY))]).candles_version == version + 1


def test_receipts_do_not_crumble(kit, uri):
    """Many small commits leave few files, and every receipt."""
    writer = StoreWriter(uri)
    for n in range(120):
        writer.commit([kit.empty(kit.chunk(f"NSE_EQ|{n}", *JANUARY))])
    assert len(set(kit.receipts(uri))) == len(kit.receipts(uri)) == 120
    assert len(DeltaTable(f"{uri}/chunks").file_uris()) < 30


def test_one_delivery_given_twice_in_a_batch(kit, uri):
    """The second replaces the first: each row stands once."""
    delivery = kit.stored(kit.chunk(SBIN, *JANUARY))
    done = StoreWriter(uri).commit([delivery, delivery])
    assert len(done.receipts) == 2
    assert len(kit.rows(uri)) == 31


def added_rows(uri):
    """Rows in the files that the newest commit of candles wrote."""
    log = max(Path(uri, "candles", "_delta_log").glob("*.json"))
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    return sum(json.loads(a["add"]["stats"])["numRecords"] for a in actions if "add" in a)


def test_of_a_month_asked_again_only_the_new_days_are_written(kit, uri):
    """And of one that is as it stands, nothing; its receipt stands all the same."""
    writer = StoreWriter(uri)
    chunk = kit.chunk(SBIN, *JANUARY, "5minute")
    days = kit.days(chunk)
    writer.commit([kit.stored(chunk, days=days[:20], bars_a_day=5)])
    done = writer.commit([kit.stored(chunk, days=days[:22], bars_a_day=5, run_id="next")])
    assert added_rows(uri) == 10
    assert (done.rows, done.receipts[0].rows, done.receipts[0].revised) == (110, 110, 0)
    again = writer.commit([kit.stored(chunk, days=days[:22], bars_a_day=5, run_id="again")])
    assert again.candles_version == done.candles_version
    assert len(kit.rows(uri)) == 110
    (row,) = (row for row in Store(uri).receipts().to_pylist() if row["run_id"] == "again")
    assert (row["rows"], row["candles_version"]) == (110, done.candles_version)


def test_a_rewritten_history_is_said_and_which_answers_it_outdates(kit, uri):
    """Where the change reaches back to the oldest bar compared, older ones are in doubt too."""
    writer = StoreWriter(uri)
    old = [
        kit.stored(kit.chunk(SBIN, *JANUARY), 100.0),
        kit.stored(kit.chunk(NIFTY, *JANUARY), 9.0),
    ]
    writer.commit(old)
    longer = (JANUARY[0], FEBRUARY[1])
    new = [
        kit.stored(kit.chunk(SBIN, *longer), 50.0, run_id="next"),
        kit.stored(kit.chunk(NIFTY, *longer), 9.0, run_id="next"),
    ]
    split, same = writer.commit(new).receipts
    assert (split.revised, split.ratio, split.outdates) == (31, 0.5, old[0].receipt.fetched_at)
    assert (same.revised, same.ratio, same.outdates) == (0, None, None)
    assert writer.receipts_of("next") == [split, same]
    assert {row[0::3] for row in kit.rows(uri)} == {(SBIN, 50.0), (NIFTY, 9.0)}
    assert len(kit.rows(uri)) == 2 * 60


def test_a_correction_of_late_days_does_not_put_older_ones_in_doubt(kit, uri):
    writer = StoreWriter(uri)
    days = kit.days(kit.chunk(SBIN, *JANUARY))
    for part, price in ((days[:20], 1.0), (days[20:], 2.0)):
        writer.commit([kit.stored(kit.chunk(SBIN, part[0], part[-1]), price)])
    (receipt,) = writer.commit([kit.stored(kit.chunk(SBIN, *JANUARY), 1.0, run_id="next")]).receipts
    assert (receipt.revised, receipt.ratio, receipt.outdates) == (11, 0.5, None)


def test_a_store_of_an_earlier_version_is_read_and_written(kit, uri):
    """Its receipts know no revisions."""
    StoreWriter(uri).commit([kit.stored(kit.chunk(SBIN, *JANUARY))])
    receipts = Store(uri).receipts().drop_columns(["revised", "ratio", "outdates"])
    shutil.rmtree(Path(uri, "chunks"))
    up_to = CommitProperties(app_transactions=[Transaction(tables.APP, 1)])
    write_deltalake(f"{uri}/chunks", receipts, commit_properties=up_to)
    assert Store(uri).receipts()["revised"].to_pylist() == [None]
    StoreWriter(uri).commit([kit.stored(kit.chunk(SBIN, *FEBRUARY))])
    assert sorted(Store(uri).receipts()["revised"].to_pylist(), key=str) == [0, None]
    assert StoreWriter(uri).receipts_of("run")[0].revised == 0


def test_receipts_of_a_run(kit, uri):
    """Only those of the run asked for, whatever its name, and with every fact."""
    writer = StoreWriter(uri)
    ours = kit.stored(kit.chunk(SBIN, *JANUARY), run_id="it's")
    theirs = kit.failed(kit.chunk(SBIN, *FEBRUARY), run_id="other")
    writer.commit([ours, theirs])
    assert writer.receipts_of("it's") == [ours.receipt]
    assert writer.receipts_of("other") == [theirs.receipt]
    assert writer.receipts_of("' OR '1' = '1") == []
