"""How the command of a job has ended, by what Ray remembers of it. Pure."""

from __future__ import annotations

import signal

from cluster.exit import Exit

#: A shell whose command was ended by a signal tells the signal's number and so much more.
_SHELLS_SIGNALS = 128


def exit_of(state: str, driver_exit_code: int | None) -> int | None:
    """What a job's command would have told a shell; None while it has not ended.

    Ray itself only knows whether that was 0. It keeps no code of a job that was stopped, or that never
    began. One that was killed has told none, and is incomplete.
    """
    match state:
        case "succeeded":
            return Exit.DONE
        case "stopped":
            return Exit.INTERRUPTED
        case "failed":
            told = driver_exit_code in range(1, 256) and not killed_by(driver_exit_code)
            return driver_exit_code if told else Exit.INCOMPLETE
    return None


def killed_by(driver_exit_code: int | None) -> str:
    """The name of the signal that ended a command; empty if it ended by itself, or never began.

    Ray tells it as Python does, below 0; where a shell stood between, that has told it in its own way. The
    130 of ours is no such case: interrupted, it ends by itself.
    """
    if driver_exit_code is None or driver_exit_code == Exit.INTERRUPTED:
        return ""
    if driver_exit_code < 0:
        return _name(-driver_exit_code) or f"signal {-driver_exit_code}"
    return _name(driver_exit_code - _SHELLS_SIGNALS)


def _name(number: int) -> str:
    """Empty for what is no signal's number."""
    return signal.Signals(number).name if number in set(signal.Signals) else ""
