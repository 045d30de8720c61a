"""The main job on synthetic data: what it looks like, and how its table is read."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from cluster.bundled import bundled
from cluster.config import Overrides, load
from cluster.exit import Exit
from cluster.scan import scan

if TYPE_CHECKING:
    from rich.console import Console

SYNTHETIC = (
    "The exchange of this demo is a look-alike on this machine. The symbols are NIFTY 50's and the "
    "limits the provider's own; the candles are SYNTHETIC."
)

#: Shown and then run, so that it cannot go stale; by an interpreter of its own, as a reader of them would,
#: since ours does without pandas (`actors.lean`).
READING = """\
import deltalake, pyarrow
days = pyarrow.table(deltalake.DeltaTable("{store}/candles").scan(predicate="timeframe = '1day'")).to_pandas()
print(days.sort_values("ts").groupby("symbol")["close"].agg(["count", "min", "max", "last"]).head())"""


def demonstrate(console: Console, store: str | None) -> Exit:
    """Run `configs/demo.yaml`, then read its table with three lines of pandas, run as printed."""

    def say(text: str, style: str = "") -> None:
        console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)

    say(SYNTHETIC, "bold")
    config = load(bundled("demo.yaml"), Overrides(store=store))
    finished = scan(config, console)
    for line in finished.lines:
        say(line)
    if finished.exit is not Exit.DONE:
        return finished.exit
    lines = READING.format(store=config.store)
    say("\nThree lines read the table:\n", "bold")
    say(f"{lines}\n")
    say(read_with(lines))
    say(
        "All of it is synthetic. Run it again, and it finds nothing missing and sends nothing.",
        "bold",
    )
    return finished.exit


def read_with(lines: str) -> str:
    """What Python prints of them."""
    return subprocess.run(  # noqa: S603 - our own lines, as shown
        [sys.executable, "-c", lines], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
