from __future__ import annotations

import sqlite3

import pytest

from actors.limiter import ledger as ledger_module
from actors.limiter.clock import Reading
from actors.limiter.ledger import FILE_NAME, Ledger, State
from actors.market.errors import UsageError

AT = Reading("boot", 5, 1_700_000_000)


@pytest.fixture
def ledger(tmp_path):
    opened = Ledger(tmp_path)
    yield opened
    opened.close()


def test_what_was_written_is_read_back_in_order(ledger):
    later = Reading("boot", 9, 1_700_000_009)
    with ledger.writing():
        first = ledger.add("upstox", "run-1", State.GRANTED, AT)
        second = ledger.add("upstox", "run-2", State.GRANTED, AT)
        ledger.add("other", "run-3", State.GRANTED, AT)
        ledger.amend("upstox", first.permit, State.ENDED, later)
    entries = ledger.entries("upstox")
    assert [(e.permit, e.run_id, e.state, e.at) for e in entries] == [
        (second.permit, "run-2", State.GRANTED, AT),
        (first.permit, "run-1", State.ENDED, later),
    ]
    assert ledger.entries("upstox", after_change=entries[0].change) == entries[1:]


def test_a_write_that_fails_half_way_leaves_nothing(ledger):
    def break_off():
        with ledger.writing():
            ledger.add("upstox", "run-1", State.GRANTED, AT)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert ledger.entries("upstox") == []
    with ledger.writing():
        ledger.add("upstox", "run-1", State.GRANTED, AT)
    assert len(ledger.entries("upstox")) == 1


def test_a_permit_is_never_given_twice_though_its_entry_is_gone(ledger):
    with ledger.writing():
        gone = ledger.add("upstox", "run-1", State.ENDED, AT)
        ledger.add("upstox", "run-1", State.ENDED, AT)
        ledger.prune("upstox", AT.boot_ns + 1)
        later = ledger.add("upstox", "run-1", State.GRANTED, AT)
    assert gone.permit not in {entry.permit for entry in ledger.entries("upstox")}
    assert later.permit > gone.permit + 1


@pytest.mark.parametrize(
    "content", [b"no database at all" * 100, b"SQLite format 3\0" + b"x" * 5_000]
)
def test_a_damaged_file_is_named_and_left_as_it_is(tmp_path, content):
    path = tmp_path / FILE_NAME
    path.write_bytes(content)
    with pytest.raises(UsageError, match="damaged") as caught:
        Ledger(tmp_path)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == content


def test_damage_inside_is_found_on_opening(tmp_path, ledger):
    with ledger.writing():
        for _ in range(2_000):
            ledger.add("upstox", "run-1", State.ENDED, AT)
    ledger.close()
    path = tmp_path / FILE_NAME
    content = bytearray(path.read_bytes())
    content[8_192:16_384] = b"\xff" * 8_192
    path.write_bytes(content)
    with pytest.raises(UsageError, match="damaged"):
        Ledger(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="ledger is unusable") as caught:
        Ledger(tmp_path / "file" / "state")
    assert str(tmp_path / "file" / "state") in str(caught.value)


def test_a_ledger_of_a_newer_version_is_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(UsageError, match="newer"):
        Ledger(tmp_path)


def test_a_ledger_locked_for_long_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger_module, "BUSY_S", 0.05)
    one, other = Ledger(tmp_path), Ledger(tmp_path)

    def write():
        with other.writing():
            pytest.fail("two writers at once")

    with one.writing(), pytest.raises(UsageError, match="locked"):
        write()
    one.close()
    other.close()
