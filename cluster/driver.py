"""Which process drives a run, so that anybody may tell later whether it still does."""

from __future__ import annotations

import os
import socket
from typing import Any

import psutil

_SAME_START_S = 1.0


def this_process() -> dict[str, Any]:
    """For a run's manifest."""
    started_s = psutil.Process().create_time()
    return {"host": socket.gethostname(), "pid": os.getpid(), "started_s": started_s}


def is_running(driver: object) -> bool | None:
    """Whether the process that was once told so by `this_process` still is.

    None: it cannot be told, of one on another host, or of words that are not ours.
    """
    match driver:
        case {"host": str(host), "pid": int(pid), "started_s": float(started_s)}:
            pass
        case _:
            return None
    if host != socket.gethostname() or pid <= 0:
        return None
    try:
        process = psutil.Process(pid)
        # Then it is dead, though whoever started it has not looked.
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        drift_s = process.create_time() - started_s
    except psutil.NoSuchProcess:
        return False
    # Else another process has its number by now; or the clock was set, which starts are told by.
    return True if abs(drift_s) < _SAME_START_S else None
