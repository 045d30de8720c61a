from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

_LINUX_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Reading:
    """What this computer's clocks said at one moment."""

    boot_id: str  # names the time since the last start; readings of two boots share only wall time
    boot_ns: int  # since that start, sleep included; never runs backwards
    wall_ns: int  # since 1970; may be set to anything at any moment


def read() -> Reading:
    """Read all clocks now."""
    return Reading(_boot_id(), _boot_ns(), time.time_ns())


def _boot_ns() -> int:
    # Elsewhere the monotonic clock may stand still during sleep. Then what was spent seems more
    # recent than it is, which wastes budget and is safe.
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic_ns() if clock is None else time.clock_gettime_ns(clock)


@cache
def _boot_id() -> str:
    try:
        return _LINUX_BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        # A shift of this by a second makes a boot look like another one, which is safe.
        return f"since {int(psutil.boot_time())}"
