"""Total deadlines for requests: whatever a server does, the thread that waits for it comes free.

Timeouts of single reads do not do that: a server that sends a byte now and then resets them all.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import weakref
from typing import Self


class Line:
    """A second handle on a connection, by which another thread can cut it.

    Cutting wakes whoever reads or writes, also in the middle of TLS. The handle is closed with the
    last who holds the line: the connection, or the deadline of a response that outlives it.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._handle = connection.dup()

    def cut(self) -> None:
        with contextlib.suppress(OSError):  # the other side was quicker
            self._handle.shutdown(socket.SHUT_RDWR)

    def __del__(self) -> None:
        if hasattr(self, "_handle"):  # `dup` may have failed
            self._handle.close()


_under_way = threading.local()


class Deadline:
    """One request's time limit. Counts in a `with` block, for the thread that is in it."""

    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog
        self._lock = threading.Lock()
        self._line: Line | None = None
        self.passed = False
        self.at_s = 0.0  # on the monotonic clock

    @staticmethod
    def current() -> Deadline:
        """Find the deadline this thread is under."""
        deadline = _under_way.deadline
        assert isinstance(deadline, Deadline)
        return deadline

    def __enter__(self) -> Self:
        self._watchdog.watch(self)
        _under_way.deadline = self
        return self

    def __exit__(self, *_: object) -> None:
        _under_way.deadline = None
        self._watchdog.dismiss(self)
        with self._lock:
            self._line = None

    @property
    def left_s(self) -> float:
        return max(0.0, self.at_s - time.monotonic())

    def guard(self, line: Line) -> None:
        """From now on the request goes over this line, which is cut when the time is over."""
        with self._lock:
            self._line = line
            passed = self.passed
        if passed:
            line.cut()

    def expire(self) -> None:
        with self._lock:
            self.passed = True
            line = self._line
        if line is not None:
            line.cut()


class Watchdog:
    """Expires deadlines, from a thread of its own that starts with the first of them.

    All deadlines are equally long. So the oldest is the next to pass, and while the watchdog sleeps
    until then, or for `timeout_s` when there is none, no earlier one can come up: nobody wakes it.
    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._lock = threading.Lock()
        self._watched: dict[Deadline, None] = {}  # in order of time
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, deadline: Deadline) -> None:
        with self._lock:
            deadline.at_s = time.monotonic() + self.timeout_s
            self._watched[deadline] = None
            if self._thread is None:
                self._thread = threading.Thread(
                    target=_keep_watch,
                    args=(weakref.ref(self), self._closed),
                    name="request-deadlines",
                    daemon=True,
                )
                self._thread.start()

    def dismiss(self, deadline: Deadline) -> None:
        with self._lock:
            self._watched.pop(deadline, None)

    def close(self) -> None:
        self._closed.set()

    def expire_due(self) -> float:
        """Expire what is due, and tell for how long nothing else can be."""
        while True:
            with self._lock:
                oldest = next(iter(self._watched), None)
                left_s = self.timeout_s if oldest is None else oldest.left_s
                if oldest is None or left_s > 0:
                    return left_s
                del self._watched[oldest]
            oldest.expire()


def _keep_watch(watchdog_ref: weakref.ref[Watchdog], closed: threading.Event) -> None:
    wait_s = 0.0
    while not closed.wait(wait_s):
        watchdog = watchdog_ref()
        if watchdog is None:  # nobody can start a request with it any more
            return
        wait_s = watchdog.expire_due()
        del watchdog
