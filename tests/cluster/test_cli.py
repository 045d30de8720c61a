"""The command as a user meets it: exit codes, words, and nothing started for a mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from actors.writer.spool import Spool, place_of
from actors.writer.store import StoreWriter
from cluster.lookalike.launch import Lookalike, run_lookalike
from tests.actors.writer.conftest import Kit

WITHIN_S = 60
EXPORT = ["export", "--store", "x", "--format", "csv", "--out"]


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


def test_a_plan_counts_what_a_killed_run_has_left_and_takes_none_of_it(
    config: Path, exchange: Lookalike, tmp_path: Path
) -> None:
    chunk = Kit().chunk("NSE_EQ|INE062A01020", date(2024, 1, 15), date(2024, 3, 14))
    Spool(place_of(f"{tmp_path}/store", tmp_path)).put(Kit().stored(chunk))
    left = {*(tmp_path / "store").rglob("*")}
    told = json.loads(candlefleet("plan", config, *at(exchange), "--json").stdout)
    assert told["requests"] == 1 + 2 * 2
    assert {*(tmp_path / "store").rglob("*")} == left


def test_a_plan_for_people_names_what_it_left_out(config: Path, exchange: Lookalike) -> None:
    done = candlefleet("plan", config, *at(exchange))
    assert "6 requests" in done.stderr
    assert "NOSUCH" in done.stderr


def test_a_plan_notes_a_fleet_that_will_be_too_large_for_its_memory(
    config: Path, exchange: Lookalike
) -> None:
    """For people and for machines."""
    config.write_text(config.read_text() + "memory: {limit_mb: 400}\n")
    said = "memory.limit_mb is 400, and a fleet of 2 fetchers holds some "
    assert said in candlefleet("plan", config, *at(exchange)).stderr
    (note,) = json.loads(candlefleet("plan", config, *at(exchange), "--json").stdout)["notes"]
    assert note.startswith(said)


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
        (["plan", "CONFIG", "--store", "gs://bucket"], "--store: is no path and no s3://bucket"),
        (["bogus"], "bogus"),
        (["export", "--store", "nowhere", "--format", "csv", "--out", "x.csv"], "nowhere"),
        (
            ["export", "--store", "x", "--format", "pdf", "--out", "x"],
            "--format: 'pdf' is none of csv, parquet, arrow, jsonl",
        ),
        ([*EXPORT, "-", "--json"], "--json: stdout"),
        (
            [*EXPORT, "x", "--timeframe", "5m"],
            "--timeframe",
        ),
        ([*EXPORT, "x", "--from", "1/2/24"], "--from"),
        (
            [*EXPORT, "y.csv", "--from", "2024-02-01", "--to", "2024-01-31"],
            "--from: 2024-02-01 comes after the last day, 2024-01-31",
        ),
        (["status", "--store", "x", "--version", "1", "--as-of", "2024-01-31"], "not both"),
        (["status", "--store", "nowhere", "--as-of", "2024-01-31"], "--as-of: there is no store"),
        (["status", "--store", "nowhere"], "--store: there is no store at"),
        (["status", "--store", "nowhere", "--json"], "--store: there is no store at"),
        (["status", "--store", ""], "is no path and no s3://bucket/prefix"),
        (["status", "--store", "s3:/bucket"], "is no path and no s3://bucket/prefix"),
        (
            ["status", "--store", "x", "--version", "newest"],
            "--version: 'newest' is no whole number, 0 or more",
        ),
        (
            ["optimize", "--store", "x", "--keep", "-5"],
            "--keep: '-5' is no whole number, 0 or more",
        ),
        (["optimize", "--store", "x", "--keep", "9999999"], "--keep: 9999999 is more than 36,500"),
        (["retry", "CONFIG", "--cause", "luck"], "--cause: 'luck' is none of rate_limited, server"),
        (["lookalike", "--now", "noon"], "--now: 'noon' will not do: the exchange's time at its"),
        (
            ["scan", "CONFIG", "--store", "data", "--address", "127.0.0.1:9"],
            "store data: a relative",
        ),
        (
            ["scan", "CONFIG", "--address", "nonsense"],
            "candlefleet: --address: 'nonsense' is no cluster's address",
        ),
        (["retry", "CONFIG", "--address", "127.0.0.1:9"], "candlefleet: --address: no Ray cluster"),
        (["verify", "CONFIG", "--fetch", "--address", "ray://h:1"], "candlefleet: --address: ray"),
        (
            ["submit", "CONFIG", "--store", "data", "--address", "http://127.0.0.1:9"],
            "a relative path",
        ),
        (["submit", "CONFIG", "--address", "http://127.0.0.1:9"], "no Ray dashboard answers"),
        (["submit", "CONFIG", "--address", "auto"], "'auto' is no dashboard's address"),
        (["jobs"], "Missing option '--address'."),
        (["lookalike", "--port", "99999"], "port is from 0 to 65535, not 99999"),
        (["jobs", "--address", "x", "--stop", "1", "--logs", "1"], "not both"),
        (["retry", "CONFIG", "--timeframe", "5m"], "--timeframe"),
        (["retry", "CONFIG", "--symbol", "SBIN"], "--symbol: the store knows no 'SBIN'"),
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
    assert "--assets-url" in done.stderr


def test_a_lookalikes_port_that_is_taken_is_told(exchange: Lookalike) -> None:
    port = exchange.base_url.rpartition(":")[2]
    done = candlefleet("lookalike", "--port", port)
    assert done.returncode == 2
    assert done.stderr == f"candlefleet: --port: {port} cannot be used (Address already in use)\n"


def test_a_store_that_cannot_be_one_is_refused_before_anything_is_sent(
    config: Path, exchange: Lookalike, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    before = exchange.judge()["requests"]
    done = candlefleet("scan", config, *at(exchange), "--store", tmp_path / "file")
    assert done.returncode in (1, 2)
    assert "file" in done.stderr
    assert exchange.judge()["requests"] == before


def test_without_dead_letters_there_is_nothing_to_retry(config: Path, tmp_path: Path) -> None:
    done = candlefleet("retry", config, "--json")
    assert done.returncode == 0, done.stderr
    assert "No dead letter" in done.stderr
    assert json.loads(done.stdout)["planned"] == 0
    assert not (tmp_path / "store").exists()


def test_an_export_of_an_earlier_version_is_what_it_held(tmp_path: Path) -> None:
    kit, store = Kit(), str(tmp_path / "store")
    writer = StoreWriter(store)
    for month in (1, 2):
        chunk = kit.chunk("NSE_EQ|SBIN", date(2024, month, 1), date(2024, month, 28))
        writer.commit([kit.stored(chunk)])
    words = ["export", "--store", store, "--format", "csv", "--out", tmp_path / "x.csv", "--json"]
    told = json.loads(candlefleet(*words, "--version", "1").stdout)
    assert (told["rows"], told["candles_version"]) == (28, 1)
    assert len((tmp_path / "x.csv").read_text().splitlines()) == 1 + 28
    refused = candlefleet(*words, "--overwrite", "--version", "3")
    assert refused.returncode == 2
    assert "--version: there is no version 3, only 0 to 2" in refused.stderr
    assert "56 candles of version 2" in candlefleet(*words, "--overwrite").stderr


def test_whoever_stops_reading_ends_nothing(tmp_path: Path) -> None:
    """As `| head` does: no traceback, no complaint, and the exit code is the command's own."""
    kit, store = Kit(), str(tmp_path / "store")
    StoreWriter(store).commit(
        [
            kit.stored(kit.chunk("NSE_EQ|SBIN", date(2024, 1, 1), date(2024, 1, 31))),
            kit.failed(kit.chunk("NSE_EQ|TCS", date(2024, 1, 1), date(2024, 1, 31))),
        ]
    )
    verbs = {
        "status": (["--json"], 0),
        "verify": ([], 1),
        "export": (["--format", "jsonl", "--out", "-"], 0),
    }
    for verb, (options, code) in verbs.items():
        words = [sys.executable, "-m", "cluster", verb, "--store", store, *options]
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            words, stdout=writing, stderr=subprocess.PIPE, timeout=WITHIN_S, check=False
        )
        os.close(writing)
        assert (done.returncode, done.stderr) == (code, b""), verb


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_results_that_cannot_be_written_are_told() -> None:
    words = [sys.executable, "-m", "cluster", "--version"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            words, stdout=full, stderr=subprocess.PIPE, timeout=WITHIN_S, check=False
        )
    told = b"candlefleet: stdout cannot be written (No space left on device)\n"
    assert (done.returncode, done.stderr) == (1, told)


class NoRole(BaseHTTPRequestHandler):
    """A machine's service of metadata that knows no role."""

    def do_PUT(self) -> None:
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_the_table_engine_does_not_speak_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence says what is wrong; the engine's own log comes to whoever asks for it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_REGION", "ap-south-1")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    with ThreadingHTTPServer(("127.0.0.1", 0), NoRole) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", address)
        done = candlefleet("status", "--store", "s3://bucket/prefix")
        monkeypatch.setenv("RUST_LOG", "warn")
        asked = candlefleet("status", "--store", "s3://bucket/prefix")
        server.shutdown()
    assert (done.returncode, asked.returncode) == (2, 2)
    assert done.stderr.startswith("candlefleet: store s3://bucket/prefix: no credentials found")
    assert len(done.stderr.splitlines()) == 1
    assert "WARN" in asked.stderr


def test_a_derivation_of_nothing_is_noted(config: Path, exchange: Lookalike) -> None:
    config.write_text(config.read_text().replace("[1day, 5minute]", "[1day]\nderive: true"))
    done = candlefleet("plan", config, *at(exchange))
    assert "derive: no timeframe that is named here" in done.stderr


def test_the_version_is_told() -> None:
    assert candlefleet("--version").stdout.strip()[0].isdigit()
