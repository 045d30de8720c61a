"""What is shown of a screen while its instruments are being fetched, over real stores."""

from __future__ import annotations

import io
import threading
import time
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from actors.market.chunk import Status
from actors.market.errors import StoreError
from cluster import Screen, Store
from cluster.screen import live
from cluster.screen.live import LiveScreen
from cluster.screen.owed import Owed
from tests.cluster.screen.market import QUARTER, walk, weekdays
from tests.cluster.screen.stored import stored, told, write
from tests.cluster.screen.test_screening import FLAT, RISING, even

DAYS = weekdays(60)
RISES = Screen("close > SMA(close, 20)", timeframe="1day", rank="close", name="rises")
BOTH = Screen(
    "entry.close > 0 and day.close > day.SMA(close, 20)",
    timeframes={"day": "1day", "entry": "15minute"},
    rank="day.close",
    name="both",
)


def quarters(symbol):
    return stored(symbol, walk(25 * 5), DAYS[-5:], QUARTER)


#: What comes of each instrument, in one answer for each chunk.
ANSWERS = [
    stored("UP", RISING, DAYS),
    quarters("UP"),
    stored("UPPER", even(range(100, 220, 2)), DAYS[:50]),
    stored("UPPER", even(range(200, 220, 2)), DAYS[50:]),
    quarters("UPPER"),
    stored("FLAT", FLAT, DAYS),
    quarters("FLAT"),
    told("NOTHING", DAYS[0], DAYS[-1], Status.EMPTY),
    stored("FAILED", RISING, DAYS[:30]),
    told("FAILED", DAYS[30], DAYS[-1], Status.FAILED),
    quarters("FAILED"),
]
CHUNKS = [answer.receipt.chunk for answer in ANSWERS]


def over(screen, uri, chunks=CHUNKS, console=None):
    owed = Owed(screen.question.labels, chunks)
    return LiveScreen(screen, Store(uri), owed, console or Console(file=io.StringIO()), 0.0)


def deliver(uri, looking, answers):
    write(uri, answers)
    looking.heard([answer.receipt for answer in answers], [])


@settings(max_examples=4, deadline=None)
@given(st.permutations(range(len(ANSWERS))), st.integers(2, 5), st.sampled_from([RISES, BOTH]))
def test_whoever_is_whole_is_shown_as_the_answer_shows_him(tmp_path_factory, order, size, screen):
    """And nobody else, after each commit; in the end, exactly those of the answer."""
    uri = str(tmp_path_factory.mktemp("live") / "store")
    looking, labels, came = over(screen, uri), {*screen.question.labels}, set()
    looking._look()
    assert looking.matches == []
    for at in range(0, len(order), size):
        answers = [ANSWERS[place] for place in order[at : at + size]]
        deliver(uri, looking, answers)
        looking._look()
        came |= {answer.receipt.chunk.timeframe.label for answer in answers if answer.candles}
        if not labels <= came:
            assert looking.matches == []
            continue
        to_come = [CHUNKS[place] for place in order[at + size :]]
        owed = {chunk.instrument_key for chunk in to_come if chunk.timeframe.label in labels}
        matches = screen.run(Store(uri)).matches
        assert looking.matches == [m for m in matches if m.instrument_key not in owed]
    assert [match.symbol for match in looking.matches] == ["UPPER", "UP"]


def test_what_the_store_holds_already_is_looked_at_first(tmp_path):
    uri = str(tmp_path / "store")
    write(uri, ANSWERS)
    others = [chunk for chunk in CHUNKS if chunk.symbol != "UP"]
    looking = over(RISES, uri, others)
    looking._look()
    assert [match.symbol for match in looking.matches] == ["UP"]


def test_a_screen_with_a_universe_of_its_own_looks_at_that_alone(tmp_path):
    uri = str(tmp_path / "store")
    write(uri, ANSWERS)
    screen = Screen("close > 0", timeframe="1day", universe={"symbols": ["UP", "NOSUCH"]})
    looking = over(screen, uri, [])
    looking._look()
    assert [match.symbol for match in looking.matches] == ["UP"]


def test_what_was_found_is_void_once_history_is_rewritten(tmp_path):
    """Until all of it has come again."""
    uri = str(tmp_path / "store")
    looking = over(RISES, uri, [CHUNKS[0]])
    deliver(uri, looking, [ANSWERS[0]])
    looking._look()
    assert [match.close for match in looking.matches] == [159.0]
    looking.heard([], [CHUNKS[0]])
    looking._look()
    assert looking.matches == []
    again = stored(
        "UP", even(range(200, 260)), DAYS, at=ANSWERS[0].receipt.fetched_at + timedelta(1)
    )
    deliver(uri, looking, [again])
    looking._look()
    assert [match.close for match in looking.matches] == [259.0]


class Heard(io.StringIO):
    """Lines that can be waited for."""

    def __init__(self):
        super().__init__()
        self._written = threading.Condition()

    def write(self, text):
        with self._written:
            self._written.notify_all()
            return super().write(text)

    def lines(self, count):
        """Once there are so many."""
        with self._written:
            assert self._written.wait_for(lambda: self.getvalue().count("\n") >= count, 30)
            return self.getvalue().splitlines()


def test_without_a_terminal_a_match_is_a_line_at_once(tmp_path, monkeypatch):
    """One that is among the best, if there is a limit."""
    monkeypatch.setattr(live, "LOOK_EVERY_S", 0.0)
    uri, out = str(tmp_path / "store"), Heard()
    best = Screen("close > 0", timeframe="1day", rank="close", limit=1, name="best")
    with over(best, uri, console=Console(file=out, width=200)) as looking:
        looking._began_s = time.monotonic() - 100
        deliver(uri, looking, ANSWERS)
        (line,) = out.lines(1)
    assert out.getvalue().count("\n") == 1
    assert line.startswith("best: UPPER  rank 218.00  last 218.00  after 10")


def test_on_a_terminal_matches_are_a_table_best_first(tmp_path):
    uri = str(tmp_path / "store")
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    looking = over(RISES, uri, console=console)
    deliver(uri, looking, ANSWERS)
    looking._look()
    assert console.file.getvalue() == ""
    console.print(looking)
    shown = console.file.getvalue()
    assert "rises: 2 match of 5 instruments so far" in shown
    assert 0 < shown.index("UPPER ") < shown.index("UP ")


def test_symbols_are_shown_and_never_commands_to_the_terminal(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "LOOK_EVERY_S", 0.0)
    uri, out = str(tmp_path / "store"), Heard()
    write(uri, [stored("[red]\x1b[2J", RISING, DAYS)])
    with over(RISES, uri, [], Console(file=out, width=200)) as looking:
        (line,) = out.lines(1)
    assert line.startswith("rises: [red]\N{REPLACEMENT CHARACTER}[2J  rank 159.00")
    console = Console(file=io.StringIO(), markup=False, force_terminal=True, color_system=None)
    console.print(looking)
    assert "[red]\N{REPLACEMENT CHARACTER}[2J " in console.file.getvalue()


def test_a_table_is_no_longer_than_the_screen_wants_it(tmp_path):
    uri, console = str(tmp_path / "store"), Console(file=io.StringIO(), width=80)
    write(uri, ANSWERS)
    looking = over(Screen("close > 0", timeframe="1day", rank="close", limit=1), uri, [], console)
    looking._look()
    console.print(looking)
    assert len(looking.matches) == 3
    assert "UPPER " in console.file.getvalue()
    assert "UP " not in console.file.getvalue()


def test_a_look_is_cut_off_where_the_run_is_over(tmp_path):
    """Or one over many instruments would keep the user waiting for what nobody wants to know any more."""
    uri = str(tmp_path / "store")
    write(uri, ANSWERS)
    with over(RISES, str(tmp_path / "other"), []) as looking:
        pass
    looking._store = Store(uri)
    with pytest.raises(live._Over):
        looking._look()
    assert looking.matches == []


def test_a_look_that_fails_is_told_once_and_hurts_nobody(tmp_path, monkeypatch):
    """It is tried again with the next receipts, and succeeds once the log can be read again."""
    monkeypatch.setattr(live, "LOOK_EVERY_S", 0.0)
    uri, out = str(tmp_path / "store"), Heard()
    write(uri, ANSWERS)
    log = tmp_path / "store" / "chunks" / "_delta_log" / f"{0:020}.json"
    whole = log.read_text()
    log.write_text("no log")
    looking = over(RISES, uri, console=Console(file=out, width=200))
    for _ in range(2):
        with pytest.raises(StoreError):
            looking._look()
    with looking:
        out.lines(1)
        log.write_text(whole)
        looking.heard([answer.receipt for answer in ANSWERS], [])
        told = out.lines(2)
    assert "could not be asked meanwhile" in told[0]
    assert "rises: UPPER" in told[1]
    looking._tell(ValueError("again"))
    assert out.getvalue().count("could not be asked") == 1


@pytest.mark.parametrize("screen", [RISES, BOTH])
def test_before_anything_has_come_nothing_is_said(tmp_path, screen):
    out = io.StringIO()
    looking = over(screen, str(tmp_path / "store"), console=Console(file=out))
    looking._look()
    deliver(str(tmp_path / "store"), looking, [ANSWERS[7]])
    looking._look()
    assert (out.getvalue(), looking.matches) == ("", [])
