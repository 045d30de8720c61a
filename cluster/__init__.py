"""What runs on the driver: from a config to a finished run. `Store` and `Screen` are the doors for notebooks.

config, universe, plan     what to fetch
choice, local_cluster, head, kept   the Ray cluster to do it on
session, joining, crew, dispatch, run   fetching it, there
packing, jobs              letting a cluster do all of it
standing, display, report, logs    saying how it goes
screen/                    a question to every instrument of a store
schedule/                  jobs that keep a store fresh
lookalike/                 a local exchange that behaves like the provider, for demo and tests
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actors.writer.reading import Store
    from actors.writer.selection import Candles
    from cluster.screen.screen import Screen

__all__ = ["Candles", "Screen", "Store"]


def __getattr__(name: str) -> Any:
    """Load the door when somebody comes through it: every command imports this package."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "Screen":
        from cluster.screen import screen

        return screen.Screen
    from actors.writer import reading

    return getattr(reading, name)
