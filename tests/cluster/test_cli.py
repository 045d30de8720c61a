"""The command as a user meets it: exit codes, words, and nothing started for a mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.lookalike.launch import Lookalike, run_lookalike

WITHIN_S = 60


@pytest.fixture(scope="module")
def exchange() -> Iterator[Lookalike]:
    with run_lookalike() as running:
        yield running


def candlefleet(*words: str | Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "cluster", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(
        f"store: {tmp_path}/store\n"
        "universe: {symbols: [SBIN, 'NSE_INDEX|Nifty 50', NOSUCH]}\n"
        "timeframes: [1day, 5minute]\n"
        "dates: {from: 2024-01-15, to: 2024-03-14}\n"
    )
    return path


def at(exchange: Lookalike) -> list[str]:
    return ["--base-url", exchange.base_url, "--assets-url", exchange.assets_url]


def test_a_plan_says_what_it_costs_and_touches_nothing(
    config: Path, exchange: Lookalike, tmp_path: Path
) -> None:
    before = exchange.judge()["requests"]
    done = candlefleet("plan", config, *at(exchange), "--json")
    told = json.loads(done.stdout)
    assert told["instruments"] == 2
    assert told["unresolved"] == ["NOSUCH"]
    assert told["chunks"] == told["requests"] == 2 + 2 * 2
    assert told["seconds_at_least"] == 0
    assert told["by_timeframe"]["5minute"]["requests"] == 4
    assert done.returncode == 1, "an unresolved name is no success"
    assert not (tmp_path / "store").exists()
    assert exchange.judge()["requests"] == before


def test_a_plan_for_people_names_what_it_left_out(config: Path, exchange: Lookalike) -> None:
    done = candlefleet("plan", config, *at(exchange))
    assert "6 requests" in done.stderr
    assert "NOSUCH" in done.stderr


def test_unresolved_names_can_be_allowed(config: Path, exchange: Lookalike) -> None:
    config.write_text(config.read_text().replace("NOSUCH]", "NOSUCH], allow_unresolved: true"))
    done = candlefleet("universe", config, "--assets-url", exchange.assets_url, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [i["symbol"] for i in told["instruments"]] == ["SBIN", "NIFTY"]
    assert [u["name"] for u in told["unresolved"]] == ["NOSUCH"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["scan", "absent.yaml"], "absent.yaml"),
        (["scan", "CONFIG", "--from", "2024-02-30"], "--from"),
        (["scan", "CONFIG", "--from", "2024-05-01"], "--from"),
        (["scan", "CONFIG", "--base-url", "http://example.com"], "--base-url"),
        (["scan", "CONFIG", "--bogus"], "bogus"),
        (["plan", "CONFIG", "--to", "yesterday"], "--to"),
        (["bogus"], "bogus"),
        (["export", "--store", "nowhere", "--format", "csv", "--out", "x.csv"], "nowhere"),
        (["export", "--store", "x", "--format", "pdf", "--out", "x"], "pdf"),
        (
            ["export", "--store", "x", "--format", "csv", "--out", "x", "--timeframe", "5m"],
            "--timeframe",
        ),
        (["export", "--store", "x", "--format", "csv", "--out", "x", "--from", "1/2/24"], "--from"),
    ],
)
def test_a_mistake_is_exit_2_in_the_users_words(config: Path, words: list[str], told: str) -> None:
    done = candlefleet(*(str(config) if word == "CONFIG" else word for word in words))
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert told in done.stderr
    assert done.stdout == ""


def test_an_unreachable_instrument_master_is_told_and_nothing_is_started(config: Path) -> None:
    done = candlefleet("scan", config, "--assets-url", "http://127.0.0.1:9")
    assert done.returncode == 2
    assert "127.0.0.1:9" in done.stderr


def test_a_store_that_cannot_be_one_is_refused_before_anything_is_sent(
    config: Path, exchange: Lookalike, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    before = exchange.judge()["requests"]
    done = candlefleet("scan", config, *at(exchange), "--store", tmp_path / "file")
    assert done.returncode in (1, 2)
    assert "file" in done.stderr
    assert exchange.judge()["requests"] == before


def test_status_of_a_store_that_is_not_there_says_so(tmp_path: Path) -> None:
    done = candlefleet("status", "--store", tmp_path / "nothing")
    assert done.returncode == 0
    assert "no store" in done.stdout.replace("\n", " ")
    assert (
        json.loads(candlefleet("status", "--store", tmp_path / "x", "--json").stdout)["runs"] == []
    )


def test_the_version_is_told() -> None:
    assert candlefleet("--version").stdout.strip()[0].isdigit()
