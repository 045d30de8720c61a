from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from cluster.exit import Exit

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """Whether the user, or the system, has asked us to stop."""

    def __init__(self) -> None:
        self.signal: str | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    def arm(self) -> None:
        """Take over the signals; once more after `ray.init`, which takes over SIGTERM itself."""
        for number in _SIGNALS:
            signal.signal(number, self._heed)

    def _heed(self, number: int, _frame: FrameType | None) -> None:
        if self:
            os._exit(Exit.INTERRUPTED)  # Ray's processes notice and follow
        self.signal = signal.Signals(number).name


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Within, the first SIGINT or SIGTERM only sets the flag; the second ends the process at once."""
    before = [(number, signal.getsignal(number)) for number in _SIGNALS]
    interrupt = Interrupt()
    interrupt.arm()
    try:
        yield interrupt
    finally:
        for number, handler in before:
            signal.signal(number, handler)
