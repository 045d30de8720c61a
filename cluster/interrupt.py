from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from cluster.exit import Exit

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

#: Whatever comes so soon after the first is the first once more: `timeout` signals a command and then the
#: group it is in, and a terminal and a supervisor may both pass on the same.
ONE_S = 0.3


def heed_signals() -> None:
    """From now on SIGTERM interrupts as Ctrl-C does, and the second of them ends the process at once.

    At once, even inside a library's long call, where no handler of Python's would be run.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    heard, told = socket.socketpair()
    told.setblocking(False)
    signal.set_wakeup_fd(told.detach(), warn_on_full_buffer=False)
    threading.Thread(target=_end_at_second, args=(heard,), daemon=True).start()


def ignore_signals() -> None:
    """Once all is done: while the interpreter ends, a signal would only change the exit code."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _end_at_second(heard: socket.socket) -> None:
    first_s: float | None = None
    while numbers := heard.recv(64):
        if not any(number in _SIGNALS for number in numbers):
            continue
        now_s = time.monotonic()
        first_s = now_s if first_s is None else first_s
        if now_s - first_s > ONE_S:
            os._exit(Exit.INTERRUPTED)  # Ray's processes notice and follow


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
        self.signal = self.signal or signal.Signals(number).name


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Within, SIGINT and SIGTERM only set the flag. What the second one does, `heed_signals` says."""
    before = [(number, signal.getsignal(number)) for number in _SIGNALS]
    interrupt = Interrupt()
    interrupt.arm()
    try:
        yield interrupt
    finally:
        for number, handler in before:
            signal.signal(number, handler)
