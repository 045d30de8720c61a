from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from cluster.exit import Exit


class Interrupt:
    """Whether the user, or the system, has asked us to stop."""

    def __init__(self) -> None:
        self.signal: str | None = None

    def __bool__(self) -> bool:
        return self.signal is not None


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Within, the first SIGINT or SIGTERM only sets the flag; the second ends the process at once.

    To be entered after `ray.init`, which installs a handler of its own.
    """
    interrupt = Interrupt()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if interrupt:
            os._exit(Exit.INTERRUPTED)  # Ray's processes notice and follow
        interrupt.signal = signal.Signals(number).name

    before = {n: signal.signal(n, on_signal) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
