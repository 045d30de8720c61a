from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from cluster.exit import Exit

#: SIGHUP: its terminal is gone, as when a connection breaks.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: Whatever comes so soon after the first is the first once more: `timeout` signals a command and then the
#: group it is in, and a terminal and a supervisor may both pass on the same.
ONE_S = 0.3

_STDERR = 2


def heed_signals() -> None:
    """From now on SIGTERM and SIGHUP interrupt as Ctrl-C does; the second signal ends the process at once.

    At once, even inside a library's long call, where no handler of Python's would be run.
    """
    for number in _heeded():
        if number is not signal.SIGINT:
            signal.signal(number, signal.default_int_handler)
    heard, told = socket.socketpair()
    told.setblocking(False)
    signal.set_wakeup_fd(told.detach(), warn_on_full_buffer=False)
    threading.Thread(target=_end_at_second, args=(heard,), daemon=True).start()


def ignore_signals() -> None:
    """Once all is done: while the interpreter ends, a signal would only change the exit code."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _heeded() -> list[signal.Signals]:
    """With `nohup` a command is to outlive its terminal."""
    is_to_stay = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [number for number in _SIGNALS if not (is_to_stay and number is signal.SIGHUP)]


def _end_at_second(heard: socket.socket) -> None:
    first_s: float | None = None
    while numbers := heard.recv(64):
        now_s = time.monotonic()
        if not any(number in _SIGNALS for number in numbers):
            continue
        if first_s is None:
            first_s = now_s
        # That a terminal is gone both the system and a shell may say, with any time between.
        elif now_s - first_s > ONE_S and not all(number == signal.SIGHUP for number in numbers):
            with suppress(OSError):
                os.write(_STDERR, b"Ended at once.\n")
            os._exit(Exit.INTERRUPTED)  # Ray's processes notice and follow


class Interrupt:
    """Whether the user, or the system, has asked us to stop."""

    def __init__(self) -> None:
        self.signal: str | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    def arm(self) -> None:
        """Take over the signals; once more after `ray.init`, which takes over SIGTERM itself."""
        for number in _heeded():
            signal.signal(number, self._heed)

    def _heed(self, number: int, _frame: FrameType | None) -> None:
        self.signal = self.signal or signal.Signals(number).name


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Within, signals only set the flag. What the second one does, `heed_signals` says."""
    before = [(number, signal.getsignal(number)) for number in _heeded()]
    interrupt = Interrupt()
    interrupt.arm()
    try:
        yield interrupt
    finally:
        for number, handler in before:
            signal.signal(number, handler)
