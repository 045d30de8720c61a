"""`candlefleet budget`: what a limiter has spent, seen from another process."""

from __future__ import annotations

import asyncio
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from actors.limiter.actor import Limiter
from actors.limiter.terms import Fate, Settlement, Terms
from actors.limiter.turns import Priority
from actors.limiter.windows import WindowUse
from actors.market.errors import UsageError
from actors.market.window import NS_PER_S, Window
from cluster.spending import BudgetStatus, RunShare, look, tables

WINDOWS = (Window(5, 1_000 * NS_PER_S), Window(20, 2_000 * NS_PER_S))


async def spend(folder: Path) -> None:
    """Three permits of a run that has ended, one of a run that goes on."""
    limiter = Limiter(str(folder))
    ours = Terms("host", WINDOWS, 30.0)
    for _ in range(3):
        (permit,) = await limiter.acquire(ours, "done", "fetcher-1")
        await limiter.settle([Settlement(ours, permit.number, Fate.ANSWERED)])
    update = Terms("host", WINDOWS, 30.0, share=0.9, priority=Priority.UPDATE)
    await limiter.acquire(update, "going on", "fetcher-1")
    await limiter.use(update, "going on", 700)
    await limiter.use(ours, "done", 0)


def shown(folder: Path) -> str:
    console = Console(file=io.StringIO(), width=140)
    for status in look(folder):
        for table in tables(status):
            console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_each_window_says_what_counts_whose_it_is_and_when_it_frees(tmp_path: Path) -> None:
    asyncio.run(spend(tmp_path))
    (status,) = look(tmp_path)
    told = status.as_dict()
    assert told["budget"] == "host/anonymous"
    narrow, wide = told["windows"]
    assert (narrow["counted"], narrow["in_flight"], narrow["left"]) == (4, 1, 1)
    assert (wide["counted"], wide["left"]) == (4, 16)
    assert narrow["frees"] < narrow["all_free"] < wide["all_free"]
    assert told["frozen"] is None
    assert {run["run_id"]: run["counted"] for run in told["runs"]} == {
        "done": [3, 3],
        "going on": [1, 1],
    }
    (going_on,) = (run for run in told["runs"] if run["pending"])
    assert (going_on["run_id"], going_on["priority"], going_on["pending"]) == (
        "going on",
        "update",
        700,
    )
    text = shown(tmp_path)
    assert "host/anonymous" in text
    assert "700" in text


def test_a_refusal_is_shown_with_what_we_had_counted(tmp_path: Path) -> None:
    async def refuse() -> None:
        limiter, ours = Limiter(str(tmp_path)), Terms("host", WINDOWS, 30.0)
        (permit,) = await limiter.acquire(ours, "run", "fetcher-1")
        await limiter.settle([Settlement(ours, permit.number, Fate.REFUSED, 900.0)])

    asyncio.run(refuse())
    (status,) = look(tmp_path)
    assert status.as_dict()["frozen"]["own_count"] == "1/5/1000 s, 1/20/2000 s"
    assert "Refused (429)" in shown(tmp_path)
    assert "the next request may ask in 15m 00s" in shown(tmp_path)


def test_a_state_folder_that_is_none_is_no_free_budget(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="unusable"):
        look(tmp_path / "file")


def test_looking_where_nothing_was_spent_leaves_nothing_behind(tmp_path: Path) -> None:
    assert look(tmp_path / "state") == []
    assert not (tmp_path / "state").exists()


def test_a_runs_id_stays_whole_on_a_narrow_terminal() -> None:
    windows = tuple(WindowUse(window, 1, 3, None, None) for window in WINDOWS)
    run = RunShare("20261123-184501-9f3c", "update", (3, 1_234), 123_456)
    status = BudgetStatus("host/anonymous", datetime.now(UTC), 0, windows, 1.0, None, (run,))
    console = Console(file=io.StringIO(), width=52)
    for table in tables(status):
        console.print(table)
    assert run.run_id in console.file.getvalue()  # type: ignore[attr-defined]
