"""The ledger's tables: what brings each version of the file to the next, and how values stand in them."""

from __future__ import annotations

import json
from functools import cache

from actors.limiter.caution import Counted
from actors.market.window import Window

_SPENDING = (
    """CREATE TABLE IF NOT EXISTS permits (
    permit INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice
    budget TEXT NOT NULL,
    run_id TEXT NOT NULL,
    state TEXT NOT NULL,
    boot_id TEXT NOT NULL,  -- these three: when it came into that state
    boot_ns INTEGER NOT NULL,
    wall_ns INTEGER NOT NULL,
    change INTEGER NOT NULL
)""",
    "CREATE UNIQUE INDEX IF NOT EXISTS permits_by_change ON permits (budget, change)",
)

#: Permits of the first version lived for the default time-out and a minute.
_SHARING = (
    "ALTER TABLE permits ADD COLUMN granted_ns INTEGER NOT NULL DEFAULT 0",
    "UPDATE permits SET granted_ns = boot_ns",
    "ALTER TABLE permits ADD COLUMN lifetime_ns INTEGER NOT NULL DEFAULT 90000000000",
    "ALTER TABLE permits ADD COLUMN retry_after_ns INTEGER",
    "ALTER TABLE permits ADD COLUMN counted TEXT NOT NULL DEFAULT ''",
    """CREATE TABLE runs (
    budget TEXT NOT NULL,
    run_id TEXT NOT NULL,
    limiter TEXT NOT NULL,  -- the process that serves it
    windows TEXT NOT NULL,  -- the account's; JSON: [[limit, span_ns], ...]
    limits TEXT NOT NULL,  -- how far the run may fill them
    priority TEXT NOT NULL,
    served INTEGER NOT NULL,
    wakes_at_ns INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    boot_id TEXT NOT NULL,  -- these three: when it last did anything
    boot_ns INTEGER NOT NULL,
    wall_ns INTEGER NOT NULL,
    PRIMARY KEY (budget, run_id)
)""",
    "CREATE TABLE secret (one INTEGER PRIMARY KEY CHECK (one = 1), salt BLOB NOT NULL)",
)

MIGRATIONS = (_SPENDING, _SHARING)


def counted_text(counted: tuple[Counted, ...]) -> str:
    return json.dumps([[c.count, c.window.limit, c.window.span_ns] for c in counted])


def counted_of(text: str) -> tuple[Counted, ...]:
    return tuple(Counted(n, Window(*window)) for n, *window in json.loads(text)) if text else ()


@cache
def text_of(windows: tuple[Window, ...]) -> str:
    return json.dumps([[w.limit, w.span_ns] for w in windows])


@cache
def windows_of(text: str) -> tuple[Window, ...]:
    return tuple(Window(*window) for window in json.loads(text))
