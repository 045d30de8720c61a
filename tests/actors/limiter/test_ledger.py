from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import actors
from actors.limiter import ledger as ledger_module
from actors.limiter.clock import Reading
from actors.limiter.ledger import FILE_NAME, Ledger, RunEntry, State
from actors.limiter.schema import MIGRATIONS
from actors.limiter.terms import Terms
from actors.limiter.turns import Priority, Turn
from actors.market.errors import UsageError
from actors.market.window import Window

AT = Reading("boot", 5, 1_700_000_000)
LIFETIME = 90_000_000_000


@pytest.fixture
def ledger(tmp_path):
    opened = Ledger(tmp_path)
    yield opened
    opened.close()


def test_what_was_written_is_read_back_in_order(ledger):
    later = Reading("boot", 9, 1_700_000_009)
    with ledger.writing():
        first = ledger.add("upstox", "run-1", AT, LIFETIME)
        second = ledger.add("upstox", "run-2", AT, LIFETIME)
        ledger.add("other", "run-3", AT, LIFETIME)
        ledger.amend("upstox", first, State.ENDED, later)
    entries = ledger.entries("upstox")
    assert [(e.permit, e.run_id, e.state, e.at) for e in entries] == [
        (second, "run-2", State.GRANTED, AT),
        (first, "run-1", State.ENDED, later),
    ]
    assert ledger.entries("upstox", after_change=entries[0].change) == entries[1:]


def test_a_write_that_fails_half_way_leaves_nothing(ledger):
    def break_off():
        with ledger.writing():
            ledger.add("upstox", "run-1", AT, LIFETIME)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert ledger.entries("upstox") == []
    with ledger.writing():
        ledger.add("upstox", "run-1", AT, LIFETIME)
    assert len(ledger.entries("upstox")) == 1


def test_a_permit_is_never_given_twice_though_its_entry_is_gone(ledger):
    with ledger.writing():
        gone = ledger.add("upstox", "run-1", AT, LIFETIME)
        ledger.add("upstox", "run-1", AT, LIFETIME)
        ledger.prune("upstox", AT.boot_ns + 1)
        later = ledger.add("upstox", "run-1", AT, LIFETIME)
    assert gone not in {entry.permit for entry in ledger.entries("upstox")}
    assert later > gone + 1


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
            ledger.add("upstox", "run-1", AT, LIFETIME)
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


def test_a_ledger_of_the_first_version_is_brought_up_to_date_with_all_it_knows(tmp_path):
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        for statement in MIGRATIONS[0]:
            db.execute(statement)
        row = ("upstox", "run-1", "granted", AT.boot_id, AT.boot_ns, AT.wall_ns, 1)
        columns = "budget, run_id, state, boot_id, boot_ns, wall_ns, change"
        db.execute(f"INSERT INTO permits ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        db.execute("PRAGMA user_version = 1")
    db.close()
    ledger = Ledger(tmp_path)
    (entry,) = ledger.entries("upstox")
    assert (entry.at, entry.granted_ns, entry.lifetime_ns) == (AT, AT.boot_ns, LIFETIME)
    with ledger.writing():
        assert ledger.add("upstox", "run-2", AT, LIFETIME) == entry.permit + 1
    ledger.close()


def test_runs_are_read_back_as_they_were_put_and_each_once(ledger):
    windows = (Window(50, 1_000), Window(500, 60_000))
    run = RunEntry(
        "run-1", "limiter", windows, windows[:1], Turn(Priority.UPDATE, 7), 99, 1_500, AT
    )
    with ledger.writing():
        ledger.put_run("upstox", replace(run, pending=3))
        ledger.put_run("upstox", run)
    assert ledger.runs("upstox") == [run]
    assert ledger.budgets() == ["upstox"]
    with ledger.writing():
        ledger.prune("upstox", AT.boot_ns + 1)
    assert ledger.runs("upstox") == []


def test_what_refusals_have_taught_is_kept_beside_the_permits(ledger):
    assert ledger.caution("upstox") is None
    with ledger.writing():
        ledger.put_caution("upstox", "{}", AT)
        ledger.put_caution("upstox", "{1}", AT)
        ledger.put_caution("other", "{2}", AT)
        ledger.prune("upstox", AT.boot_ns + 1)
    assert ledger.caution("upstox") == ("{1}", AT)


def test_an_account_is_named_for_nobody_who_has_not_this_file(tmp_path):
    one, other = Ledger(tmp_path), Ledger(tmp_path)
    mine = Terms("host", (), 30.0, account="a user's digest")
    name = one.name_of(mine)
    assert name == other.name_of(mine)
    assert name.startswith("host/account-")
    assert "digest" not in name
    assert name != one.name_of(Terms("host", (), 30.0, account="another's"))
    elsewhere = Ledger(tmp_path / "elsewhere")
    assert elsewhere.name_of(mine) != name
    assert one.name_of(Terms("host/intraday", (), 30.0)) == "host/intraday/anonymous"
    for ledger in (one, other, elsewhere):
        ledger.close()


def test_the_file_is_the_users_alone_also_where_it_was_not(tmp_path):
    path = tmp_path / FILE_NAME
    path.touch(mode=0o644)
    Ledger(tmp_path).close()
    assert path.stat().st_mode & 0o077 == 0


def test_many_processes_may_make_the_file_at_once(tmp_path):
    code = "import sys; from pathlib import Path; from actors.limiter.ledger import Ledger; "
    code += "Ledger(Path(sys.argv[1]))"
    root = str(Path(actors.__file__).parents[1])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": root},
        )
        for _ in range(6)
    ]
    assert [process.communicate(timeout=60)[1] for process in processes] == [""] * 6
