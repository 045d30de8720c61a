from __future__ import annotations

from datetime import UTC, date, datetime
from io import StringIO

import pytest
from rich.console import Console

from actors.market.errors import StoreError
from actors.market.instrument import Instrument
from actors.market.timeframe import Timeframe
from actors.writer.store import StoreWriter
from cluster.config import Overrides, load
from cluster.exit import Exit
from cluster.plan import Want, plan
from cluster.scan import scan
from cluster.wants import Wants
from tests.actors.writer.conftest import Kit

JANUARY = (date(2024, 1, 1), date(2024, 1, 31))
FIVE_MINUTES = Timeframe.parse("5minute")


@pytest.mark.parametrize("cut_off", [KeyboardInterrupt, StoreError("disk full", "/data")])
def test_a_run_that_is_cut_off_while_it_derives_does_not_call_itself_done(
    tmp_path, monkeypatch, cut_off
):
    kit, store = Kit(), f"{tmp_path}/store"
    StoreWriter(store).commit([kit.stored(kit.chunk("NSE_EQ|A", *JANUARY, "1minute"))])
    path = tmp_path / "config.yaml"
    path.write_text("universe: {symbols: [A]}\ntimeframes: [5minute]\nderive: true\n")
    want = Want(Instrument("NSE_EQ|A", "A", "NSE", "NSE_EQ", "EQ"), FIVE_MINUTES, *JANUARY)

    def planner(*_):
        return Wants((), (), (), 0, (), (), written=(want,)), plan((), {}, datetime.now(UTC))

    def interrupted(*_):
        raise cut_off

    config, console = load(path, Overrides(store=store)), Console(file=StringIO())
    with monkeypatch.context() as patched:
        patched.setattr(StoreWriter, "commit", interrupted)
        cut = scan(config, console, planner=planner)
    expected = Exit.INTERRUPTED if cut_off is KeyboardInterrupt else Exit.INCOMPLETE
    assert (cut.exit, cut.summary.underived) == (expected, True)
    done = scan(config, console, planner=planner)
    assert (done.exit, done.summary.underived, done.summary.derived) == (Exit.DONE, False, 62)
