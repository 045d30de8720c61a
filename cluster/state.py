from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from actors.market.errors import UsageError

STATE_VARIABLE = "CANDLEFLEET_STATE_DIR"


def state_dir() -> Path:
    """Where budgets and caches outlive a run; one folder for every run of this user.

    Raises UsageError for a relative one: each working folder would get a budget of its own.
    """
    named = os.environ.get(STATE_VARIABLE, "").strip()
    if named:
        place = Path(named).expanduser()
        if not place.is_absolute():
            raise UsageError(f"must be an absolute path, not {named!r}", f"${STATE_VARIABLE}")
        return place
    return platformdirs.user_state_path("candlefleet", appauthor=False)


@contextmanager
def made(place: Path) -> Iterator[None]:
    """Have the folder there, to write into within. Raises UsageError in words where that fails."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        problem = f"cannot be written ({error.strerror or error}); ${STATE_VARIABLE} names another"
        raise UsageError(problem, f"state folder {place}") from error
