from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from actors.market.chunk import Cause
from actors.monitor.memory import HostMemory
from actors.monitor.progress import Progress
from cluster.display import duration, line, panel, progress_display
from cluster.standing import Standing, WindowLeft

STANDING = Standing(
    planned=150,
    done=84,
    in_flight=16,
    uncommitted=3,
    failed=2,
    rows=12_345,
    elapsed_s=62.0,
    eta_s=200.0,
    progress=Progress(requests_per_s=8.25, troubles={Cause.TIMEOUT: 4}),
    windows=(WindowLeft(500, 60.0, 17),),
    hosts=(HostMemory("laptop", 6, 700 * 2**20, 2**34, 2**33),),
    notice="paused: memory",
)
FACTS = [
    "84/150",
    "12,345 rows",
    "17/500",
    "2 failed",
    "4 timeout",
    "700 MB",
    "3m 20s",
    "paused: memory",
]


@pytest.mark.parametrize("fact", FACTS)
def test_a_line_and_the_panel_say_the_same(fact: str) -> None:
    console = Console(file=io.StringIO(), width=200)
    with console.capture() as captured:
        console.print(panel(STANDING))
    assert fact in captured.get()
    assert fact in line(STANDING)


def test_without_a_terminal_progress_is_plain_lines_few_and_the_last_word() -> None:
    """Ten looks within a moment are two lines: the first and the last; without escape codes."""
    out = io.StringIO()
    with progress_display(Console(file=out, width=200)) as show:
        for done in range(10):
            show(replace(STANDING, done=done))
    expected = [line(replace(STANDING, done=done)) for done in (0, 9)]
    assert out.getvalue().splitlines() == expected


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0s"), (59.4, "59s"), (60, "1m 00s"), (3599.6, "1h 00m"), (25_500, "7h 05m")],
)
def test_durations_read_as_people_say_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said
