"""The writer's shell, without Ray: a plain class and threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

from actors.writer import tables
from actors.writer.actor import Writer
from actors.writer.buffer import BufferRules

SBIN = "NSE_EQ|INE062A01020"
JANUARY = (date(2024, 1, 1), date(2024, 1, 31))
FEBRUARY = (date(2024, 2, 1), date(2024, 2, 29))
AT_ONCE = BufferRules(commit_every_s=0.0)
AT_LEISURE = BufferRules(commit_every_s=1000.0)
PATIENCE_S = 20.0


def place_of(uri: str) -> Path:
    return Path(uri) / "spool"


def die(writer: Writer) -> None:
    """All that the system does when its process is no more."""
    assert writer._spool is not None
    writer._spool._lock.release()


def told(writer: Writer) -> str:
    """Its incarnation, as a driver learns it."""
    return writer.commit(0.0, None).writer


def test_what_is_kept_is_committed_once_and_then_told(kit, uri: str) -> None:
    writer = Writer(uri, "r", AT_ONCE, place_of(uri))
    known = told(writer)
    delivery = kit.stored(kit.chunk(SBIN, *JANUARY), run_id="r")
    assert writer.keep(delivery) == known
    assert [r.chunk for r in writer.commit(PATIENCE_S, known).receipts] == [delivery.receipt.chunk]
    assert writer.commit(0.0, known).receipts == ()


def test_a_delivery_repeated_after_its_commit_is_not_stored_again(kit, uri: str) -> None:
    """Its fetcher had not heard the answer. One chunk, one receipt."""
    writer = Writer(uri, "r", AT_ONCE, place_of(uri))
    known = told(writer)
    delivery = kit.stored(kit.chunk(SBIN, *JANUARY), run_id="r")
    writer.keep(delivery)
    writer.commit(PATIENCE_S, known)
    assert writer.keep(delivery) == known
    assert writer.commit(0.0, known).receipts == ()


def test_a_delivery_repeated_during_its_commit_is_not_stored_again(
    kit, uri: str, monkeypatch
) -> None:
    """Nor is what was called kept out of the spool before it is in the store."""
    writer = Writer(uri, "r", AT_ONCE, place_of(uri))
    known = told(writer)
    delivery = kit.stored(kit.chunk(SBIN, *JANUARY), run_id="r")
    writer.keep(delivery)
    put, waiting = tables.put_candles, []

    def put_when_repeated(*arguments):
        assert writer.keep(delivery) == known
        waiting.extend(place_of(uri).rglob("*.arrow"))
        put(*arguments)

    monkeypatch.setattr(tables, "put_candles", put_when_repeated)
    assert len(writer.commit(PATIENCE_S, known).receipts) == 1
    assert writer.commit(0.0, known).receipts == ()
    assert len(kit.receipts(uri)) == len(waiting) == 1
    assert list(place_of(uri).rglob("*.arrow")) == []


def test_a_delivery_repeated_to_a_new_incarnation_is_not_stored_again(kit, uri: str) -> None:
    """Before that has recovered what the one before had kept."""
    first, second = (Writer(uri, "r", AT_ONCE, place_of(uri)) for _ in range(2))
    delivery = kit.stored(kit.chunk(SBIN, *JANUARY), run_id="r")
    first.keep(delivery)
    die(first)
    known = second.keep(delivery)
    assert len(second.commit(0.0, None).receipts) == 1
    assert second.commit(0.0, known).receipts == ()
    assert len(kit.receipts(uri)) == 1
    second.tidy()
    assert list(place_of(uri).iterdir()) == []


def test_a_new_incarnation_commits_and_tells_what_the_one_before_had_kept(kit, uri: str) -> None:
    """Committed or only gathered: what was called kept is never asked for again."""
    first = Writer(uri, "r", AT_ONCE, place_of(uri))
    known = told(first)
    stored = kit.stored(kit.chunk(SBIN, *JANUARY), run_id="r")
    first.keep(stored)
    first.commit(PATIENCE_S, known)
    gathered = kit.stored(kit.chunk(SBIN, *FEBRUARY), run_id="r")
    first.keep(gathered)
    die(first)

    second = Writer(uri, "r", AT_ONCE, place_of(uri))
    late = kit.empty(kit.chunk(SBIN, date(2023, 1, 1), date(2023, 1, 31)), run_id="r")
    second.keep(late)  # a fetcher may be quicker than the driver
    answer = second.commit(PATIENCE_S, known)
    assert answer.writer != known
    assert {r.chunk for r in answer.receipts} == {stored.receipt.chunk, gathered.receipt.chunk}
    assert second.keep(stored) == answer.writer
    rest = second.commit(PATIENCE_S, answer.writer).receipts
    assert [r.chunk for r in rest] == [late.receipt.chunk]
    second.tidy()
    assert list(place_of(uri).iterdir()) == []


def test_a_batch_waits_for_its_time_unless_hurried(kit, uri: str) -> None:
    writer = Writer(uri, "r", AT_LEISURE, place_of(uri))
    known = told(writer)
    writer.keep(kit.stored(kit.chunk(SBIN, *JANUARY), run_id="r"))
    assert writer.commit(0.0, known).receipts == ()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(writer.commit, PATIENCE_S, known)
        writer.hurry()
        assert len(waiting.result(PATIENCE_S).receipts) == 1


def test_a_full_buffer_makes_fetchers_wait_until_a_commit_makes_room(kit, uri: str) -> None:
    rules = BufferRules(commit_every_s=1000.0, commit_bytes=1, limit_bytes=1)
    writer = Writer(uri, "r", rules, place_of(uri))
    known = told(writer)
    writer.keep(kit.stored(kit.chunk(SBIN, *JANUARY), run_id="r"))
    with ThreadPoolExecutor(1) as pool:
        second = kit.stored(kit.chunk(SBIN, *FEBRUARY), run_id="r")
        waiting = pool.submit(writer.keep, second)
        assert len(writer.commit(PATIENCE_S, known).receipts) == 1
        assert waiting.result(PATIENCE_S) == known
    assert len(writer.commit(PATIENCE_S, known).receipts) == 1


def test_a_store_that_refuses_is_told_by_its_first_call(tmp_path: Path) -> None:
    """Not by the constructor, which Ray would run again and again."""
    (tmp_path / "file").write_text("no folder")
    writer = Writer(str(tmp_path / "file"), "r", AT_ONCE, tmp_path / "spool")
    with ThreadPoolExecutor(1) as pool:
        error = pool.submit(writer.commit, 0.0, None).exception(PATIENCE_S)
    assert "not a folder" in str(error)
