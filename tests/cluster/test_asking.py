"""Runs that a screen goes along with and that have nothing to ask the provider for."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from dataclasses import replace
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from actors.market.errors import UsageError
from actors.market.instrument import Instrument
from actors.market.timeframe import Timeframe
from actors.writer.store import StoreWriter
from cluster import Screen, Store, asking
from cluster.config import Overrides, load
from cluster.exit import Exit
from cluster.plan import Want, plan
from cluster.retry import Filters, retry
from cluster.scan import scan
from cluster.screen.live import LiveScreen
from cluster.screen.owed import Owed
from cluster.wants import Wants
from tests.actors.writer.conftest import Kit
from tests.cluster.test_cli import candlefleet

JANUARY = (date(2024, 1, 1), date(2024, 1, 31))
SHARE = Instrument("NSE_EQ|A", "A", "NSE", "NSE_EQ", "EQ")


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("universe: {symbols: [A]}\ntimeframes: [1day, 5minute]\nderive: true\n")
    return load(path, Overrides(store=f"{tmp_path}/store"))


def planner(*labels):
    """Wants longer bars of minutes that are held, and nothing else."""
    wants = tuple(Want(SHARE, Timeframe.parse(label), *JANUARY) for label in labels)
    found = Wants((), (SHARE,), (), 0, (), (), written=wants)
    return lambda *_: (found, plan((), {}, datetime.now(UTC)))


def fill(config, label):
    kit = Kit()
    StoreWriter(config.store).commit([kit.stored(kit.chunk("NSE_EQ|A", *JANUARY, label))])


def run(config, where, label, *derived):
    out = StringIO()
    screen = Screen(where, timeframe=label, name="mine")
    console = Console(file=out, width=300)
    return scan(config, console, planner=planner(*derived), screen=screen), out.getvalue()


def plain(answer):
    """All that does not depend on when it was asked."""
    told = answer if isinstance(answer, dict) else answer.as_dict()
    matches = [{k: v for k, v in m.items() if k != "age_s"} for m in told["matches"]]
    return told | {"asked_at": None, "matches": matches}


def test_with_nothing_to_fetch_the_answer_is_that_of_the_store_and_nothing_is_written(config):
    fill(config, "1day")
    before = Store(config.store).candles_version()
    done, said = run(config, "close > 0", "1day")
    assert done.exit is Exit.DONE
    assert [match.symbol for match in done.answer.matches] == ["A"]
    again = Screen("close > 0", timeframe="1day", name="mine").run(Store(config.store))
    assert plain(done.answer) == plain(again)
    assert Store(config.store).candles_version() == before
    assert Store(config.store).runs() == []
    assert said == ""


def test_bars_that_are_computed_at_the_end_are_in_the_answer_which_the_run_keeps(config):
    fill(config, "1minute")
    done, said = run(config, "close > 0", "5minute", "5minute")
    assert "mine waits for the end with 1 instrument, whose bars are computed then." in said
    assert [match.symbol for match in done.answer.matches] == ["A"]
    folder = Store(config.store).run(done.summary.run_id)
    kept = json.loads(folder.read("answer.json"))
    again = Screen(**kept["screen"]).run(Store(config.store), as_of=kept["candles_version"])
    assert plain(kept) == plain(again) == plain(done.answer)


def test_a_screen_of_what_nobody_has_is_refused_before_anything_is_done(config, tmp_path):
    with pytest.raises(UsageError, match="asks about 1week; the config fetches 1minute, 5minute"):
        run(config, "close > 0", "1week")
    assert not (tmp_path / "store").exists()
    fill(config, "1week")
    done, _ = run(config, "close > 0", "1week")
    assert [match.symbol for match in done.answer.matches] == ["A"]


def test_where_there_is_no_answer_the_run_says_so_and_is_not_done(config):
    done, _ = run(config, "close > 0", "1day")
    assert (done.exit, done.answer) == (Exit.INCOMPLETE, None)
    assert done.lines[-1].startswith("candlefleet: mine has no answer: ")


def test_whoever_interrupts_the_answer_has_the_run_told_all_the_same(config, monkeypatch):
    fill(config, "1minute")

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Screen, "run", interrupted)
    done, _ = run(config, "close > 0", "5minute", "5minute")
    assert (done.exit, done.answer) == (Exit.INTERRUPTED, None)
    assert done.summary.derived > 0
    assert "Interrupted before mine was answered" in done.lines[-1]


class Stuck(StringIO):
    """Whoever writes here waits for the run to end, has the process interrupted then, and hangs."""

    def __init__(self):
        super().__init__()
        self.reached, self.may_go_on = threading.Event(), threading.Event()
        self.is_over = lambda: False

    def write(self, text):
        self.reached.set()
        until_s = time.monotonic() + 30
        while not self.is_over() and time.monotonic() < until_s:
            self.may_go_on.wait(0.01)
        os.kill(os.getpid(), signal.SIGINT)
        self.may_go_on.wait(30)
        return super().write(text)


@pytest.fixture
def hears_sigint():
    """Whoever runs the tests in the background may have had it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("hears_sigint")
def test_whoever_interrupts_the_wait_for_a_look_has_the_run_told_all_the_same(config):
    fill(config, "1day")
    done = replace(run(config, "close > 0", "1day")[0], answer=None)
    screen, store, out = (
        Screen("close > 0", timeframe="1day", name="mine"),
        Store(config.store),
        Stuck(),
    )
    prepared = SimpleNamespace(store=store)
    with LiveScreen(screen, store, Owed(["1day"], []), Console(file=out), 0.0) as live:
        out.is_over = lambda: live._over
        assert out.reached.wait(30)
        began_s = time.monotonic()
        stopped = asking.answered(done, screen, prepared, live)
    assert time.monotonic() - began_s < 20
    assert (stopped.exit, stopped.answer) == (Exit.INTERRUPTED, None)
    assert "Interrupted before mine was answered" in stopped.lines[-1]
    out.may_go_on.set()
    live._thread.join(30)


def test_without_dead_letters_there_is_an_answer_or_it_is_said_why_not(config):
    screen, console = Screen("close > 0", timeframe="1day", name="mine"), Console(file=StringIO())
    none = retry(config, Filters(), console, screen=screen)
    assert (none.exit, none.answer) == (Exit.INCOMPLETE, None)
    assert none.lines[0] == "No dead letter to ask for again."
    assert none.lines[-1].startswith("candlefleet: mine has no answer: ")
    fill(config, "1day")
    done = retry(config, Filters(), console, screen=screen)
    assert (done.exit, done.answer.found) == (Exit.DONE, 1)
    assert done.lines == ["No dead letter to ask for again."]


def test_an_answer_that_cannot_be_kept_is_given_all_the_same(config, monkeypatch):
    """A folder stands where it should go."""
    fill(config, "1minute")
    run_screen = Screen.run

    def in_the_way(screen, store):
        (run_id,) = store.runs()
        Path(store.uri, "runs", run_id, "answer.json").mkdir()
        return run_screen(screen, store)

    monkeypatch.setattr(Screen, "run", in_the_way)
    done, _ = run(config, "close > 0", "5minute", "5minute")
    assert (done.exit, done.answer.found) == (Exit.DONE, 1)
    assert "answer.json" in done.lines[-1]


def test_a_screen_that_looks_back_further_than_is_fetched_is_told(config):
    fill(config, "1day")
    _, said = run(config, "close > SMA(close, 200)", "1day")
    assert "mine looks back 200 bars of 1day, some 298 days; there will be" in said


def test_a_misspelt_screen_is_refused_with_exit_code_2(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("universe: {symbols: [A]}\ntimeframes: [1day]\n")
    done = candlefleet("scan", path, "--screen", "golden-crss", "--store", tmp_path / "store")
    assert done.returncode == 2
    assert "did you mean golden-cross?" in done.stderr
    assert not (tmp_path / "store").exists()
