from __future__ import annotations

import os
from pathlib import Path

import platformdirs

STATE_VARIABLE = "CANDLEFLEET_STATE_DIR"


def state_dir() -> Path:
    """Where budgets and caches outlive a run; one folder for every run of this user."""
    named = os.environ.get(STATE_VARIABLE, "").strip()
    if named:
        return Path(named).expanduser().absolute()
    return platformdirs.user_state_path("candlefleet", appauthor=False)
