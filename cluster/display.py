"""Progress on stderr: a live panel on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cluster.standing import Standing, WindowLeft

LINE_EVERY_S = 5.0
REFRESH_PER_S = 4

Show = Callable[[Standing], None]


@contextmanager
def progress_display(console: Console, beneath: RenderableType | None = None) -> Iterator[Show]:
    """Yields a function to call with every new standing, as often as one likes.

    `beneath` is shown below the panel, as it is whenever that is drawn anew.
    """
    if not console.is_terminal:
        lines = _Lines(console)
        yield lines.show
        lines.finish()
        return
    with Live(console=console, refresh_per_second=REFRESH_PER_S, transient=True) as live:
        below = [] if beneath is None else [beneath]
        yield lambda standing: live.update(Group(panel(standing), *below))


class _Lines:
    """A line every few seconds, and the last word in any case."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._printed_s = float("-inf")
        self._unsaid: Standing | None = None

    def show(self, standing: Standing) -> None:
        self._unsaid = standing
        if time.monotonic() - self._printed_s >= LINE_EVERY_S:
            self.finish()

    def finish(self) -> None:
        if self._unsaid is not None:
            self._console.print(line(self._unsaid), highlight=False, soft_wrap=True)
            self._printed_s, self._unsaid = time.monotonic(), None


def line(standing: Standing) -> str:
    """One line that says it all: `84/150 chunks  12,345 rows  8.3 req/s ...`."""
    parts = [
        f"{standing.done:,}/{standing.planned:,} chunks",
        f"{standing.rows:,} rows",
        f"{standing.progress.requests_per_s:.1f} req/s",
        "left " + " ".join(_left(w) for w in standing.windows) if standing.windows else "",
        f"{standing.failed:,} failed" if standing.failed else "",
        _troubles(standing),
        f"{_private_mb(standing):,.0f} MB" if standing.hosts else "",
        f"eta {duration(standing.eta_s)}" if standing.eta_s is not None else "",
        standing.notice or "",
    ]
    return "  ".join(part for part in parts if part)


def panel(standing: Standing) -> RenderableType:
    """The same for a terminal, several lines high."""
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        ProgressBar(total=max(1, standing.planned), completed=standing.done, width=40),
        f"{standing.done:,}/{standing.planned:,} chunks",
        f"eta {duration(standing.eta_s)}" if standing.eta_s is not None else "",
    )
    facts = Table.grid(padding=(0, 2))
    facts.add_row(
        f"{standing.rows:,} rows",
        f"{standing.progress.requests_per_s:.1f} requests/s",
        f"{standing.in_flight} in flight",
        f"{standing.uncommitted} to commit",
        Text(f"{standing.failed:,} failed", style="red" if standing.failed else ""),
        f"{_private_mb(standing):,.0f} MB" if standing.hosts else "",
        f"{duration(standing.elapsed_s)} so far",
    )
    if standing.windows:
        facts.add_row("budget left", *(_left(w) for w in standing.windows))
    rows: list[RenderableType] = [bar, facts]
    if troubles := _troubles(standing):
        rows.append(Text(troubles, style="yellow"))
    if standing.notice:
        rows.append(Text(standing.notice, style="bold yellow"))
    return Group(*rows)


def duration(seconds: float) -> str:
    """`45s`, `3m 20s`, `7h 05m`."""
    minutes, rest_s = divmod(round(seconds), 60)
    hours, rest_minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {rest_minutes:02d}m"
    return f"{minutes}m {rest_s:02d}s" if minutes else f"{rest_s}s"


def _left(window: WindowLeft) -> str:
    return f"{window.left}/{window.limit} in {duration(window.span_s)}"


def _troubles(standing: Standing) -> str:
    return ", ".join(f"{n} {cause}" for cause, n in sorted(standing.progress.troubles.items()))


def _private_mb(standing: Standing) -> float:
    return max(h.private_bytes for h in standing.hosts) / 2**20
