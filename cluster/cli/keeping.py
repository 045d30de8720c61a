"""Verbs that keep a Ray cluster on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.options import console, say
from cluster.state import state_dir

MIB = 2**20


def up(
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="With Ray's dashboard, on this machine only.")
    ] = False,
) -> None:
    """Keep a Ray cluster on this machine, so that runs start at once; `down` ends it."""
    from cluster import kept
    from cluster.logs import aloud

    with aloud(console()):
        found, is_new = kept.up(state_dir(), dashboard=dashboard)
    held_mb = kept.held_bytes(found) / MIB
    said = "It is up" if is_new else "It is up already"
    say([f"{said}: a Ray cluster at {found.address}, process {found.pid}, {held_mb:,.0f} MB."])
    if found.dashboard:
        say([f"Dashboard: {found.dashboard}"])
    elif dashboard:
        say(["It has no dashboard: `candlefleet down`, then `up --dashboard`, gives it one."])
    if (reason := found.differs()) is not None:
        say([f"Runs will not use it, for {reason}: `candlefleet down`, then `up`, renews it."])


def down(
    force: Annotated[
        bool, typer.Option("--force", help="Even while runs are at work on it; they end, too.")
    ] = False,
) -> None:
    """End the Ray cluster that `up` keeps on this machine."""
    from cluster import kept

    say(["It is down." if kept.down(state_dir(), force=force) else "None was up."])
