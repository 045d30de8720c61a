"""What was called kept outlives its writer."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from datetime import date, timedelta
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pytest

from actors.market.errors import StoreError
from actors.market.sessions import IST
from actors.writer.buffer import bytes_of
from actors.writer.reading import Store
from actors.writer.spool import Spool, abandoned, is_abandoned, place_of
from actors.writer.store import StoreWriter

ROOT = Path(__file__).parents[3]
SBIN = "NSE_EQ|INE062A01020"
NIFTY = "NSE_INDEX|Nifty 50"
JANUARY = (date(2024, 1, 1), date(2024, 1, 31))
FEBRUARY = (date(2024, 2, 1), date(2024, 2, 29))

#: Keeps what it is handed, says so, and waits to be killed.
KEEPER = """
import pickle, sys
from pathlib import Path
from actors.writer.spool import Spool
spool = Spool(Path(sys.argv[1]))
for delivery in pickle.load(sys.stdin.buffer):
    spool.put(delivery)
print("kept", flush=True)
sys.stdin.buffer.read()
"""


def look(place: Path, wait_s: float | None = None) -> list:
    """At what is abandoned, leaving it there."""
    found = []
    with contextlib.suppress(InterruptedError), abandoned(place, wait_s) as left:
        found += chain.from_iterable(left)
        raise InterruptedError
    return found


def recovered(writer: StoreWriter, place: Path) -> int:
    with abandoned(place) as left:
        return sum(map(writer.recover, left))


def die(spool: Spool) -> None:
    spool._lock.release()


def keep_and_be_killed(place: Path, deliveries: list, waiting_s: float = 0.0) -> None:
    keeper = subprocess.Popen(
        [sys.executable, "-c", KEEPER, str(place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    with keeper:
        keeper.stdin.write(pickle.dumps(deliveries))
        keeper.stdin.flush()
        assert keeper.stdout.readline() == b"kept\n"
        assert look(place) == []  # its writer lives
        if waiting_s:
            threading.Timer(waiting_s / 100, keeper.kill).start()
            assert len(look(place, waiting_s)) == len(deliveries)
        keeper.kill()


def test_a_killed_writers_answers_come_back_as_they_were(kit, tmp_path):
    """Rows with their finality, rows put aside, and receipts of every kind; then they are gone."""
    place = tmp_path / "spool"
    stored = kit.stored(kit.chunk(SBIN, *JANUARY, "5minute"), 1.5)
    open_bar = stored.candles["final"].to_pylist()
    open_bar[-1] = False
    at = stored.candles.schema.get_field_index("final")
    field = stored.candles.schema.field("final")
    half_open = type(stored)(stored.receipt, stored.candles.set_column(at, field, [open_bar]))
    aside = kit.quarantine(kit.stored(kit.chunk(NIFTY, *JANUARY)))
    aside = type(aside)(
        kit.receipt(aside.receipt.chunk, aside.receipt.status, rows=31, quarantined=1),
        aside.candles,
        aside.quarantine,
    )
    given = [half_open, kit.failed(kit.chunk("X", *JANUARY)), kit.empty(kit.chunk("Y", *JANUARY))]
    given.append(aside)
    keep_and_be_killed(place, given)
    assert is_abandoned(place)
    with abandoned(place) as groups:
        (left,) = groups
        assert {d.receipt for d in left} == {d.receipt for d in given}
        was = {d.receipt.chunk: d for d in given}
        for delivery in left:
            assert delivery == was[delivery.receipt.chunk]
    assert list(place.iterdir()) == []


def test_a_writer_on_its_way_out_is_waited_for(kit, tmp_path):
    """Its driver was killed, and it has not noticed yet."""
    keep_and_be_killed(tmp_path / "spool", [kit.stored(kit.chunk(SBIN, *JANUARY))], waiting_s=30.0)


def test_however_much_was_left_a_group_of_it_is_in_memory(kit, tmp_path):
    """Oldest first, whoever left it."""
    place = tmp_path / "spool"
    spools = [Spool(place), Spool(place)]
    given = [
        kit.stored(kit.chunk(f"NSE_EQ|{n}", *JANUARY, "5minute"), bars_a_day=75) for n in range(20)
    ]
    for n, delivery in enumerate(given):
        spools[n % 2].put(delivery)
    for spool in spools:
        die(spool)
    one_bytes = bytes_of(given[0])
    before_bytes = pa.total_allocated_bytes()
    found = []
    with abandoned(place, group_bytes=3 * one_bytes) as groups:
        for group in groups:
            found.append([delivery.receipt for delivery in group])
            # The group before is still there while this one is read.
            assert pa.total_allocated_bytes() - before_bytes < 8 * one_bytes
    assert list(chain.from_iterable(found)) == [delivery.receipt for delivery in given]
    assert max(map(len, found)) <= 4


def test_what_cannot_be_committed_is_left_for_the_next_one(kit, tmp_path):
    place = tmp_path / "spool"
    spool = Spool(place)
    spool.put(kit.stored(kit.chunk(SBIN, *JANUARY)))
    die(spool)
    assert len(look(place)) == len(look(place)) == 1


def test_a_file_that_is_not_whole_is_passed_over(kit, tmp_path):
    """At whatever byte it was cut."""
    spool = Spool(tmp_path / "spool")
    spool.put(kit.stored(kit.chunk(SBIN, *JANUARY)))
    (path,) = (tmp_path / "spool").rglob("*.arrow")
    whole = path.read_bytes()
    die(spool)
    for size in range(0, len(whole) - 8, 97):  # the last 8 bytes only say that nothing follows
        path.write_bytes(whole[:size])
        assert all(d.receipt.rows == d.candles.num_rows for d in look(tmp_path / "spool"))


def test_recovery_commits_each_answer_once(kit, uri):
    """Neither one that is in the store, nor one whose days were all answered since."""
    committed = kit.stored(kit.chunk(SBIN, *JANUARY), 1.0)
    overtaken = kit.stored(kit.chunk(SBIN, *FEBRUARY), 2.0)
    lost = kit.stored(kit.chunk(NIFTY, *JANUARY), 3.0)
    newer = kit.stored(kit.chunk(SBIN, FEBRUARY[0], date(2024, 3, 5)), 4.0, run_id="later")
    place = place_of(uri, Path("/nowhere"))
    spool = Spool(place)
    for delivery in (committed, overtaken, lost):
        spool.put(delivery)
    die(spool)
    writer = StoreWriter(uri)
    writer.commit([committed])
    writer.commit([newer])
    assert recovered(writer, place) == 1
    assert recovered(writer, place) == 0
    prices = {(key, price) for key, _, _, price in kit.rows(uri)}
    assert prices == {(SBIN, 1.0), (SBIN, 4.0), (NIFTY, 3.0)}
    assert Store(uri).receipts().num_rows == 3


def test_of_a_chunk_that_two_writers_of_a_run_had_kept_the_newest_answer_counts(kit, uri):
    """The second one took it because the first had died before it could say that it had it."""
    place = place_of(uri, Path("/nowhere"))
    for price in (1.0, 2.0):
        spool = Spool(place)
        spool.put(kit.stored(kit.chunk(SBIN, *JANUARY), price))
        die(spool)
    assert recovered(StoreWriter(uri), place) == 1
    assert {row[3] for row in kit.rows(uri)} == {2.0}
    assert Store(uri).receipts().num_rows == 1


def test_recovery_commits_the_days_that_nothing_newer_has_answered(kit, uri):
    """Cut between two newer answers; a second recovery finds nothing to do."""
    place = place_of(uri, Path("/nowhere"))
    spool = Spool(place)
    spool.put(kit.stored(kit.chunk(SBIN, *JANUARY), 1.0))
    die(spool)
    writer = StoreWriter(uri)
    for day in (10, 31):
        span = date(2024, 1, day), date(2024, 1, day) + timedelta(days=9)
        writer.commit([kit.stored(kit.chunk(SBIN, *span), 2.0, run_id="later")])
    with abandoned(place) as groups:
        (left,) = groups
        assert writer.recover(left) == 2
        assert writer.recover(left) == 0
    prices = {ts.astimezone(IST).date(): price for _, _, ts, price in kit.rows(uri)}
    late = {day for day, price in prices.items() if price == 1.0}
    assert {day.day for day in late} == {*range(1, 10), *range(20, 31)}
    assert len(prices) == len(kit.rows(uri)) == 40
    found = Store(uri).receipts().to_pylist()
    assert sum(row["rows"] for row in found) == 40


def test_a_spool_that_cannot_be_written_says_so(kit, tmp_path):
    (tmp_path / "spool").write_text("no folder")
    with pytest.raises(StoreError, match="cannot be kept"):
        Spool(tmp_path / "spool")


def test_answers_for_an_object_store_wait_in_the_state_folder(tmp_path, monkeypatch):
    """However its address is written, but each provider's apart; those for a disk wait in the store."""
    places = set()
    for endpoint in ("https://one.store", "https://other.store"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        places |= {place_of(f"s3://bucket/{name}", tmp_path) for name in ("one", "one/", "other")}
    assert len(places) == 4
    assert {place.parent for place in places} == {tmp_path / "spool"}
    assert place_of(str(tmp_path / "store"), Path("/nowhere")) == tmp_path / "store" / "spool"
