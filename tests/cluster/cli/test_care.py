"""`candlefleet verify` as a user meets it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from deltalake import DeltaTable

from actors.market.chunk import Chunk
from actors.market.session_days import REFERENCE
from actors.market.timeframe import Timeframe
from actors.writer.store import StoreWriter
from cluster.lookalike.launch import Lookalike, run_lookalike
from tests.cluster.test_cli import candlefleet
from tests.cluster.verify.conftest import INFY, SBIN, Filling, delivery, fill


@pytest.fixture(scope="module")
def exchange() -> Iterator[Lookalike]:
    with run_lookalike() as running:
        yield running


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    """Two shares without the calendar: ten weekdays without a bar may have been holidays."""
    place = tmp_path_factory.mktemp("care") / "store"
    fill(str(place), Filling(), keys=[SBIN, INFY], labels=["1day", "5minute"])
    return place


def config(store, place, symbols="SBIN, INFY") -> Path:
    path = place / "config.yaml"
    path.write_text(
        f"store: {store}\nuniverse: {{symbols: [{symbols}]}}\n"
        "timeframes: [1day, 5minute]\ndates: {from: 2023-10-02, to: 2024-03-31}\n"
    )
    return path


def at(exchange: Lookalike) -> list[str]:
    return ["--base-url", exchange.base_url, "--assets-url", exchange.assets_url]


def test_what_is_missing_is_told_and_exit_code_1(store, tmp_path, exchange):
    """The sum adds up; a name that nothing answers to is told beside it; nothing is sent."""
    before = exchange.judge()["requests"]
    path = config(store, tmp_path, "SBIN, INFY, TCS, NOSUCH")
    done = candlefleet("verify", path, *at(exchange), "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert (told["complete"], told["with_gaps"], told["instruments"]) == (2, 1, 3)
    assert told["unresolved"] == ["NOSUCH"]
    assert {gap["reason"] for gap in told["gaps"]} == {"never_asked"}
    assert {gap["symbol"] for gap in told["gaps"]} == {"TCS"}
    assert len(told["undecided"]) == 10
    for one in told["series"]:
        assert (
            one["due"]
            == one["there"] + sum(one["explained"].values()) + one["missing"] + one["unconfirmed"]
        )
    assert exchange.judge()["requests"] == before


def test_for_people_it_ends_with_a_line_that_adds_up(store, tmp_path, exchange):
    done = candlefleet("verify", config(store, tmp_path, "SBIN, TCS"), *at(exchange))
    shown = done.stdout.replace("\n", " ")
    assert done.stdout.splitlines()[-1] == "1 complete + 1 with gaps = 2 instruments."
    assert "verify CONFIG --fetch" in shown
    assert "never asked" in shown


def test_a_store_is_held_against_its_own_receipts(store):
    """Without a config, and without asking anybody."""
    whole = candlefleet("verify", "--store", store, "--from", "2024-01-29", "--json")
    told = json.loads(whole.stdout)
    assert (told["complete"], told["with_gaps"], told["undecided"]) == (
        2,
        0,
        ["2024-03-08", "2024-03-25", "2024-03-29"],
    )
    some = candlefleet("verify", "--store", store, "--from", "2024-02-01", "--to", "2024-02-29")
    assert some.returncode == 0, some.stdout
    assert "2 complete + 0 with gaps = 2 instruments." in some.stdout


def test_rows_that_vanished_from_the_table_are_found(store, tmp_path):
    """By their receipts, which know how many there were."""
    copy = tmp_path / "store"
    fill(str(copy), Filling(), keys=[SBIN, REFERENCE], labels=["1day"])
    hole = f"instrument_key = '{SBIN}' AND date = '2024-02-06'"
    DeltaTable(copy / "candles").delete(hole)
    done = candlefleet(
        "verify", "--store", copy, "--from", "2024-02-01", "--to", "2024-02-29", "--json"
    )
    assert done.returncode == 1
    (gap,) = json.loads(done.stdout)["gaps"]
    assert (gap["reason"], gap["first"], gap["last"]) == ("lost", "2024-02-06", "2024-02-06")
    assert gap["note"] == "1 row is not there"


def test_derived_bars_that_are_gone_are_made_again_of_their_minutes(tmp_path, exchange):
    """First made by the repair, then lost, then made again: nothing is sent for either."""
    first, last = date(2024, 1, 1), date(2024, 1, 31)
    asked = [(SBIN, "1minute"), (REFERENCE, "1day")]
    chunks = [Chunk(key, key, Timeframe.parse(label), first, last) for key, label in asked]
    StoreWriter(str(tmp_path / "store")).commit([delivery(chunk) for chunk in chunks])
    path = tmp_path / "config.yaml"
    path.write_text(
        f"store: {tmp_path / 'store'}\nuniverse: {{symbols: [SBIN]}}\nderive: true\n"
        f"timeframes: [5minute]\ndates: {{from: {first}, to: {last}}}\n"
    )
    before = exchange.judge()["requests"]
    assert candlefleet("verify", path, *at(exchange), "--fetch").returncode == 0
    candles = DeltaTable(tmp_path / "store" / "candles")
    candles.delete("timeframe = '5minute' AND date = '2024-01-17'")

    done = candlefleet("verify", path, *at(exchange), "--json")
    (gap,) = json.loads(done.stdout)["gaps"]
    assert (done.returncode, gap["reason"], gap["timeframe"]) == (1, "lost", "5minute")
    done = candlefleet("verify", path, *at(exchange), "--fetch", "--json")
    assert (done.returncode, json.loads(done.stdout)["gaps"]) == (0, [])
    assert exchange.judge()["requests"] == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "give a CONFIG, or --store URI"),
        (["--store", "STORE", "--fetch"], "--fetch: needs a CONFIG"),
        (["absent.yaml", "--fetch", "--version", "1"], "--version and --as-of look back"),
        (["--store", "STORE", "--version", "9"], "--version: there is no version 9"),
        (["--store", "nowhere"], "--store: there is no store at"),
        (["--store", "STORE", "--from", "1999-01-01", "--to", "1999-01-02"], "was never asked"),
        (["--store", "STORE", "--from", "2024-02-02", "--to", "2024-02-01"], "comes after"),
        (["--store", "STORE", "--from", "1/2/24"], "--from"),
        (["absent.yaml"], "absent.yaml"),
    ],
)
def test_a_mistake_is_exit_2_in_the_users_words(store, words, told):
    done = candlefleet("verify", *(str(store) if word == "STORE" else word for word in words))
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stdout == ""
