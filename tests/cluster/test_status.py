from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from io import StringIO

import pytest
from rich.console import Console

from actors.market.candles import Delivery
from actors.market.chunk import Cause
from actors.writer.reading import Store
from actors.writer.store import StoreWriter
from cluster.cli.options import console, say
from cluster.driver import this_process
from cluster.status import look, tables
from tests.actors.writer.conftest import Kit

JANUARY = (date(2024, 1, 1), date(2024, 1, 31))


def failed(kit: Kit, key: str, cause: Cause, timeframe: str = "1day") -> Delivery:
    receipt = kit.failed(kit.chunk(key, *JANUARY, timeframe)).receipt
    return Delivery(replace(receipt, cause=cause))


@pytest.fixture
def store(tmp_path) -> Store:
    """One instrument stored; of three others, five requests failed for two reasons. Three runs."""
    kit, store = Kit(), Store(str(tmp_path / "store"))
    writer = StoreWriter(store.uri)
    writer.commit([kit.stored(kit.chunk("NSE_EQ|OK", *JANUARY))])
    writer.commit(
        [
            failed(kit, "NSE_EQ|A", Cause.POISON),
            failed(kit, "NSE_EQ|B", Cause.TIMEOUT),
            *(failed(kit, key, Cause.TIMEOUT, "5minute") for key in ("NSE_EQ|A", "NSE_EQ|B")),
            failed(kit, "NSE_EQ|C", Cause.TIMEOUT),
        ]
    )
    writer.commit([kit.stored(kit.chunk("NSE_EQ|C", *JANUARY))])
    for number, report in enumerate([{"candles_version": 1}, {"candles_version": 2}, None]):
        folder = store.run(f"2024060{number}-1")
        folder.write("manifest.json", json.dumps({"began_version": number}).encode())
        if report is not None:
            told = {"run_id": f"2024060{number}-1", "outcome": "done", **report}
            folder.write("report.json", json.dumps(told).encode())
    return store


def test_dead_letters_are_counted_by_cause(store: Store) -> None:
    """Those that were answered since no longer count. People see them grouped, then one by one."""
    found = look(store)
    assert found.causes == found.as_dict()["causes"] == {"timeout": 3, "poison": 1}
    assert [*found.causes] == ["timeout", "poison"], "most first"
    paper = StringIO()
    screen = Console(file=paper, width=140)
    for table in tables(found):
        screen.print(table)
    rows = [line.replace("│", " ").split() for line in paper.getvalue().splitlines()]
    assert ["timeout", "3", "2", "5minute,", "1day"] in rows
    assert ["poison", "1", "1", "1day"] in rows
    assert "candlefleet retry" in paper.getvalue()


def test_what_others_wrote_is_shown_as_it_is_and_commands_nothing(
    store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the screen, by its own marks or a terminal's, nor us: a report may be anything."""
    letter = failed(Kit(), "NSE_EQ|[/b]", Cause.BAD_REQUEST).receipt
    error = "[/red] \x1b]0;title\x07 :smile:"
    StoreWriter(store.uri).commit([Delivery(replace(letter, error=error))])
    damaged = [b"{", b"[1]", b"{}", b"[" * 100_000, b'{"notes": "\\ud800"}', b'{"run_id": 5}']
    damaged += [b'{"candles_version": "x"}', b'{"planned": "many"}', b'{"rows": null}']
    for report in damaged:
        store.run("20240609-9").write("report.json", report)
        run = look(store).runs[0]
        assert run == {"run_id": "20240609-9", "outcome": "its report is damaged"}
    store.run("20240609-9").write("report.json", b'{"outcome": "\\u001b]0;done"}')
    monkeypatch.setenv("COLUMNS", "200")
    for table in tables(look(store)):
        console(stderr=False).print(table)
    shown = capsys.readouterr().out
    assert "[/b]" in shown
    assert "\N{REPLACEMENT CHARACTER}]0;done" in shown
    assert "\x1b" not in shown
    assert "[/red] \N{REPLACEMENT CHARACTER}]0;title\N{REPLACEMENT CHARACTER} :smile:" in shown
    say([error])
    assert "\x1b" not in capsys.readouterr().err


def test_runs_are_listed_as_far_as_they_had_come(store: Store) -> None:
    """Newest first; of one that was cut off, what it wrote. A past store shows no later ones."""
    told = [(run["run_id"][:8], run.get("candles_version")) for run in look(store).runs]
    assert told == [("20240602", None), ("20240601", 2), ("20240600", 1)]
    kit = Kit()
    for run_id in ("20240602-1", "20240602-1", "20240603-1"):
        written = kit.stored(kit.chunk(f"NSE_EQ|{kit._now()}", *JANUARY), run_id=run_id)
        StoreWriter(store.uri).commit([written])
    cut_off = look(store).runs[0]
    assert (cut_off["began_version"], cut_off["candles_version"]) == (2, 4)
    paper = StringIO()
    for table in tables(look(store)):
        Console(file=paper, width=80).print(table)
    assert ["20240602-1", "cut", "off,", "or", "still", "2..4"] in [
        line.replace("│", " ").split() for line in paper.getvalue().splitlines()
    ]
    manifest = {"began_version": 2, "driver": this_process()}
    store.run("20240602-1").write("manifest.json", json.dumps(manifest).encode())
    assert look(store).runs[0]["outcome"] == "still running"
    assert [run["run_id"][:8] for run in look(store.at(1)).runs] == ["20240600"]
    assert look(store.at(1)).candles_version == 1


def test_a_run_names_the_job_it_was_for_whether_it_came_to_its_end_or_not(store: Store) -> None:
    for number, name in ((4, "manifest.json"), (5, "report.json")):
        told = {"began_version": 2, "job": "daily", "occasion": "2024-06-04T18:00:00+05:30"}
        store.run(f"2024060{number}-1").write(name, json.dumps(told | {"outcome": "done"}).encode())
    newest = look(store).runs[:2]
    assert [run["job"] for run in newest] == ["daily", "daily"]
    paper = StringIO()
    for table in tables(look(store)):
        Console(file=paper, width=80).print(table)
    lines = [line.replace("│", " ").split() for line in paper.getvalue().splitlines()]
    assert ["20240605-1", "daily", "done", "2.."] in lines
    assert any(line[:2] == ["20240602-1", "cut"] for line in lines)
