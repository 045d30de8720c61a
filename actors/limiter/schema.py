"""The ledger's tables: what brings each version of the file to the next, and how values stand in them."""

from __future__ import annotations

import json
from functools import cache

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
    """CREATE TABLE runs (
    budget TEXT NOT NULL,
    run_id TEXT NOT NULL,
    limiter TEXT NOT NULL,  -- the process that serves it
    windows TEXT NOT NULL,  -- the account's; JSON: [[limit, span_ns], ...]
    reserve TEXT NOT NULL,  -- what the user's other programs send at the most; likewise
    priority TEXT NOT NULL,
    served INTEGER NOT NULL,
    wakes_at_ns INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    boot_id TEXT NOT NULL,  -- these three: when it last did anything
    boot_ns INTEGER NOT NULL,
    wall_ns INTEGER NOT NULL,
    PRIMARY KEY (budget, run_id)
)""",
    """CREATE TABLE cautions (
    budget TEXT PRIMARY KEY,
    caution TEXT NOT NULL,  -- JSON; its times are on the clock of boot_ns
    boot_id TEXT NOT NULL,  -- these three: when it was written
    boot_ns INTEGER NOT NULL,
    wall_ns INTEGER NOT NULL
)""",
    "CREATE TABLE secret (one INTEGER PRIMARY KEY CHECK (one = 1), salt BLOB NOT NULL)",
)

MIGRATIONS = (_SPENDING, _SHARING)


@cache
def text_of(windows: tuple[Window, ...]) -> str:
    return json.dumps([[w.limit, w.span_ns] for w in windows])


@cache
def windows_of(text: str) -> tuple[Window, ...]:
    return tuple(Window(*window) for window in json.loads(text))
