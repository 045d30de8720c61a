"""The main job on synthetic data: what it looks like, and how its table is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster.bundled import bundled
from cluster.config import Overrides, load
from cluster.exit import Exit

if TYPE_CHECKING:
    from rich.console import Console

SYNTHETIC = (
    "The demo's exchange is a look-alike on this machine: the symbols are NIFTY 50's, "
    "the limits are the provider's own, the candles are SYNTHETIC."
)

#: Shown and then run, so that it cannot go stale.
READING = """\
from deltalake import DeltaTable
candles = DeltaTable("{store}/candles").to_pandas(filters=[("timeframe", "=", "1day")])
print(candles.groupby("symbol")["close"].agg(["count", "min", "max", "last"]).head())"""


def demonstrate(console: Console, store: str | None) -> Exit:
    """Run `configs/demo.yaml`, then read its table with three lines of pandas, run as printed."""
    from cluster.scan import scan

    console.print(SYNTHETIC, style="bold", highlight=False, soft_wrap=True)
    config = load(bundled("demo.yaml"), Overrides(store=store))
    finished = scan(config, console)
    for line in finished.lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if finished.exit is Exit.DONE:
        lines = READING.format(store=config.store)
        console.print("\nThree lines read it with pandas:\n", style="bold")
        console.print(lines, highlight=False, markup=False)
        console.print()
        exec(compile(lines, "demo", "exec"), {})  # noqa: S102  # our own three lines, as shown
        console.print(
            f"\nThe same command again sends no request. {SYNTHETIC.split('.', maxsplit=1)[0]}."
        )
    return finished.exit
