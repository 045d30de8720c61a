"""The main job end to end, and what it must survive. Laws are asserted, not schedules."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.request import urlopen

import psutil
import pytest
from deltalake import DeltaTable

from actors.market.sessions import IST
from actors.writer.reading import Store
from cluster import Screen
from cluster.lookalike.launch import run_lookalike
from cluster.lookalike.market import Market
from cluster.lookalike.settings import Settings
from cluster.lookalike.split import Split
from cluster.status import look, tables
from tests.together.conftest import (
    Bar,
    Finished,
    Scan,
    assert_gone,
    commands,
    family,
    finish,
    ray_files,
    until,
)

SECRET = "s3cret-t0ken-of-the-user"
UNITS = {
    "1day": ("days", 1),
    "1hour": ("hours", 1),
    "15minute": ("minutes", 15),
    "5minute": ("minutes", 5),
    "1minute": ("minutes", 1),
}


def market(scan: Scan, keys: list[str], timeframes: list[str]) -> dict[tuple[str, str], list[Bar]]:
    """What the look-alike's market holds, asked of it directly."""
    truth, found = Market(0), {}
    days = [date.fromisoformat(scan.config["dates"][end]) for end in ("from", "to")]
    for key in keys:
        for timeframe in timeframes:
            candles = truth.candles(key, *UNITS[timeframe], *days)
            bars = [
                (int(t), float(o), float(h), float(lo), float(c), int(v), int(oi))
                for t, o, h, lo, c, v, oi in zip(*candles, strict=True)
            ]
            if bars:
                found[key, timeframe] = bars
    return found


def expected(scan: Scan) -> dict[tuple[str, str], list[Bar]]:
    keys = sorted({receipt["instrument_key"] for receipt in scan.receipts()})
    return market(scan, keys, scan.config["timeframes"])


def wait_until_committed(scan: Scan, process: subprocess.Popen[str] | None = None) -> None:
    """Until the run has made two commits, and is surely in its middle."""
    until((scan.store / "candles" / "_delta_log" / f"{1:020}.json").exists, process)


def wait_until_spooled(scan: Scan, answers: int) -> None:
    """Until so many answers wait for their commit."""
    until(lambda: len(list((scan.store / "spool").rglob("*.arrow"))) >= answers)


def test_a_scan_stores_the_market_exactly_and_a_second_one_sends_nothing(scan: Scan) -> None:
    first = scan.run_with_token(SECRET)
    assert first.code == 0, first.stderr
    assert (first.summary["planned"], first.summary["stored"]) == (15, 15)
    assert first.summary["requests"] == 15
    rows = scan.rows()
    assert len(rows) == 10
    assert rows == expected(scan)
    assert first.summary["rows"] == sum(map(len, rows.values()))
    assert all(receipt["status"] == "stored" for receipt in scan.receipts())

    second = scan.run()
    assert second.code == 0
    assert (second.summary["planned"], second.summary["requests"]) == (0, 0)
    assert scan.exchange.judge()["requests"] == 15


def test_a_killed_run_resumes_and_neither_loses_nor_doubles_a_row(
    scan: Scan,
) -> None:
    """`kill -9` of the driver in mid-run, before any commit: no process is left. Then the same command.

    What was answered is asked for again only if it was on its way just then: one request a thread.
    """
    scan.config["timeframes"] = ["1day", "1minute", "5minute"]
    scan.config["writer"] = {"commit_every_s": 600}
    scan.exchange.set_latency(0.3)
    scan.config["fleet"] = {"fetchers": 1, "threads": 2}
    process = scan.start()
    wait_until_spooled(scan, 6)
    everyone, logs = family(psutil.Process(process.pid)), ray_files(process.pid)
    assert any("raylet" in command for command in commands(everyone))
    process.kill()
    process.communicate()
    assert_gone(everyone)
    assert logs
    assert not [path for path in logs if path.exists()]
    assert scan.rows() == {}

    scan.exchange.set_latency(0.0)
    done = scan.run()
    assert done.code == 0, done.stderr
    assert scan.rows() == expected(scan)
    versions = DeltaTable(scan.store / "candles").version()
    for version in range(versions + 1):
        table = DeltaTable(scan.store / "candles", version=version).to_pyarrow_table()
        keys = table.select(["instrument_key", "timeframe", "ts"]).to_pylist()
        assert len(keys) == len({tuple(key.values()) for key in keys})
    assert "answers that a run had fetched before it was cut off" in done.stderr
    assert scan.exchange.judge()["repeats"] <= 2, "what had been answered was asked for again"


def test_the_running_day_is_asked_of_its_own_endpoint_every_time(scan: Scan) -> None:
    with run_lookalike(Settings(windows=(), log_arrivals=True)) as exchange:
        scan.exchange = exchange
        scan.config["today"] = True
        scan.config["dates"] = {"from": str(datetime.now(IST).date() - timedelta(days=4))}
        done = scan.run()
        paths = [path for _, path, _ in exchange.judge(with_log=True)["log"]]
    assert done.code == 0, done.stderr
    # Of five instruments: both timeframes of the past, and the 5-minute bars of today.
    assert done.summary["requests"] == len(paths) == 15
    running = [path for path in paths if "/intraday/" in path]
    assert len(running) == len(set(running)) == 5
    assert all(path.endswith("/minutes/5") for path in running)
    now_on = datetime.now(IST).date()
    told = [r["final"] for r in scan.receipts() if r["last"] == now_on]
    assert told == [False] * 5


def let_a_night_pass(scan: Scan) -> None:
    """As if everything had been fetched a day earlier."""
    DeltaTable(scan.store / "chunks").update({"fetched_at": "fetched_at - INTERVAL '1 day'"})


def test_a_split_overnight_is_noticed_and_all_of_the_history_fetched_again(scan: Scan) -> None:
    """By the overlap that an update's requests hold anyway; and in the same run, once."""
    scan.run()
    let_a_night_pass(scan)
    share = "NSE_EQ|INE062A01020"
    scan.exchange.split(share, 2)
    update = scan.run("--to", "2024-03-20")
    assert update.code == 0, update.stderr
    assert update.summary["rewritten"] == {"SBIN": pytest.approx(0.5, rel=1e-3)}
    assert update.summary["revised"] > 2000
    assert "rewritten the history of SBIN" in update.stderr
    # Two of each instrument; then January and February of the one share's 5-minute bars.
    assert update.summary["requests"] == update.summary["planned"] == 10 + 2

    rows = scan.rows()
    truth = Market(0, {share: Split(2, date(2024, 1, 1))})
    for (key, timeframe), bars in rows.items():
        days = (date(2024, 1, 1), date(2024, 3, 20))
        candles = truth.candles(key, *UNITS[timeframe], *days)
        assert [bar[4] for bar in bars] == candles.close.tolist()
        assert [bar[5] for bar in bars] == candles.volume.tolist()
    told = [r for r in scan.receipts() if r["outdates"] is not None]
    assert {r["instrument_key"] for r in told} == {share}
    assert all(r["ratio"] == pytest.approx(0.5, rel=1e-3) for r in told)
    status = look(Store(str(scan.store)))
    assert any("History rewritten by the provider: SBIN" in str(part) for part in tables(status))
    (row,) = status.rewritten
    assert (row["symbol"], row["ratio"]) == ("SBIN", pytest.approx(0.5, rel=1e-3))
    assert scan.run("--to", "2024-03-20").summary["requests"] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_what_it_has_and_says_so(
    scan: Scan, number: signal.Signals
) -> None:
    """A screen is answered of what is stored, and goes on with it: as if it had been asked afterwards."""
    screen = scan.folder / "screen.yaml"
    screen.write_text("timeframe: 1day\nwhere: close > SMA(close, 20) / 2\nrank: close\n")
    scan.config["writer"] = {"commit_every_s": 0.2}
    scan.config["fleet"] = {"fetchers": 1, "threads": 1}
    scan.exchange.set_latency(0.4)
    process = scan.start("--screen", str(screen))
    wait_until_committed(scan, process)
    process.send_signal(number)
    stopped = finish(process)
    assert stopped.code == 130, stopped.stderr
    assert stopped.summary["pending"] > 0
    assert stopped.summary["stored"] == len(scan.receipts())
    assert stopped.summary["stored"] == scan.exchange.judge()["requests"], (
        "an answer was thrown away"
    )
    assert told(stopped) == asked(scan, screen)
    before = [match["symbol"] for match in stopped.summary["answer"]["matches"]]
    assert before

    scan.exchange.set_latency(0.0)
    rest = scan.run("--screen", str(screen))
    assert rest.code == 0, rest.stderr
    assert told(rest) == asked(scan, screen)
    assert len(rest.summary["answer"]["matches"]) == 5
    meanwhile = rest.stderr[: rest.stderr.index(" chunks stored")]
    assert [symbol for symbol in before if f"screen: {symbol}  rank " in meanwhile] == before
    assert rest.summary["stored"] == stopped.summary["pending"]
    assert scan.exchange.judge()["requests"] == 15
    assert scan.rows() == expected(scan)


def told(done: Finished) -> dict[str, Any]:
    return timeless(done.summary["answer"])


def asked(scan: Scan, screen: Path) -> dict[str, Any]:
    """What the screen answers of the store as it is."""
    return timeless(Screen.load(screen).run(Store(str(scan.store))).as_dict())


def timeless(answer: dict[str, Any]) -> dict[str, Any]:
    """But for when it was asked."""
    matches = [{**match, "age_s": 0} for match in answer["matches"]]
    return answer | {"asked_at": "", "matches": matches}


def test_a_refused_token_ends_the_run_at_once_and_is_shown_nowhere(scan: Scan) -> None:
    with run_lookalike(Settings(windows=(), auth="required")) as exchange:
        scan.exchange = exchange
        done = scan.run_with_token(SECRET)
        judged = exchange.judge()
    assert done.code == 3, done.stderr
    assert "UDAPI100050" in done.stderr
    assert judged["requests"] <= 2 * 8, "it went on asking"
    assert done.summary["pending"] == 15


def test_no_window_is_overfull_at_the_provider(scan: Scan) -> None:
    """Scaled-down limits, jittering latency, two runs one after the other on one account."""
    windows = ((10, 1.0), (30, 4.0))
    scan.config["budget"] = {"windows": [{"limit": n, "seconds": s} for n, s in windows]}
    scan.config["timeframes"] = ["1day", "5minute", "15minute", "1hour"]
    limits = Settings(windows=windows, latency_s=0.1, jitter_s=0.1)
    with run_lookalike(limits) as exchange:
        scan.exchange = exchange
        first = scan.run("--to", "2024-01-31")
        second = scan.run()
        judged = exchange.judge()
    assert (first.code, second.code) == (0, 0), second.stderr
    assert judged["requests"] == first.summary["requests"] + second.summary["requests"]
    assert judged["requests"] > 30
    assert judged["refused"] == 0
    assert all(w["worst"] <= w["limit"] for w in judged["windows"])


def test_of_two_scans_on_one_store_the_second_is_refused_and_the_first_goes_on(scan: Scan) -> None:
    scan.config["fleet"] = {"fetchers": 1, "threads": 1}
    scan.config["writer"] = {"commit_every_s": 0.2}
    scan.exchange.set_latency(0.4)
    first = scan.start()
    wait_until_committed(scan, first)
    second = scan.run()
    assert second.code == 2
    assert "another run is writing to it" in second.stderr
    done = finish(first)
    assert done.code == 0, done.stderr
    assert scan.rows() == expected(scan)


@pytest.fixture
def small_disk(scan: Scan) -> Iterator[Path]:
    """The store, on a disk of its own; needs the privilege to mount one."""
    scan.store.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(scan.store)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a disk")
    yield scan.store
    subprocess.run(["umount", str(scan.store)], check=True)


def remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


def test_a_full_disk_ends_the_run_in_words_and_hurts_nothing(scan: Scan, small_disk: Path) -> None:
    """With room again, the same command goes on; what had been kept is not asked for again."""
    scan.config["timeframes"] = ["1day", "1minute"]
    scan.config["fleet"] = {"fetchers": 1, "threads": 2}
    stopped = scan.run()
    assert stopped.code == 1
    assert "No space left on device" in stopped.stderr
    assert stopped.summary["pending"] > 0
    told = {(r["instrument_key"], r["timeframe"]) for r in scan.receipts()}
    for series, bars in scan.rows().items():
        assert series in told
        assert set(bars) <= set(expected(scan)[series])
        assert len(bars) == len(set(bars))

    remount(small_disk, "ro")
    refused = scan.run()
    assert refused.code == 2
    assert "Read-only file system" in refused.stderr

    remount(small_disk, "rw,size=64m")
    done = scan.run()
    assert done.code == 0, done.stderr
    assert scan.rows() == expected(scan)
    assert scan.exchange.judge()["repeats"] <= 2 + 2


@pytest.mark.parametrize("damage", ["ledger", "address"])
def test_what_must_fail_fails_in_words_before_anything_is_sent(scan: Scan, damage: str) -> None:
    options = []
    if damage == "ledger":
        state = Path(os.environ["CANDLEFLEET_STATE_DIR"])
        (state / "budget.sqlite3").write_bytes(b"no database" * 1000)
    else:
        options = ["--address", "127.0.0.1:9"]
    done = scan.run(*options)
    assert done.code == 2, done.stderr
    assert "damaged" in done.stderr or "no Ray cluster answers" in done.stderr
    assert scan.exchange.judge()["requests"] == 0


class Stricter(BaseHTTPRequestHandler):
    """The look-alike, but no request may span more than 20 days."""

    exchange = ""
    refused: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        last, first = self.path.split("/")[-2:]
        if (date.fromisoformat(last) - date.fromisoformat(first)).days >= 20:
            self.refused.append(self.path)
            error = {"errorCode": "UDAPI1148", "message": "Invalid date range"}
            status, body = 400, json.dumps({"status": "error", "errors": [error]}).encode()
        else:
            with urlopen(self.exchange + self.path) as response:
                status, body = response.status, response.read()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_a_span_the_provider_finds_too_long_is_split_and_goes_on(scan: Scan) -> None:
    Stricter.exchange = scan.exchange.base_url
    scan.config["timeframes"] = ["5minute"]
    with ThreadingHTTPServer(("127.0.0.1", 0), Stricter) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = scan.run("--base-url", f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert done.code == 0, done.stderr
    assert len(Stricter.refused) == 10
    assert done.summary["planned"] == done.summary["stored"] == 20
    assert done.summary["requests"] == 30
    assert scan.rows() == expected(scan)
