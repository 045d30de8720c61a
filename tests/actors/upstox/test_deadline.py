"""A deadline passes when its time is over, whoever else has one."""

from __future__ import annotations

import gc
import socket
import threading
import time

from actors.upstox.deadline import Deadline, Line, Watchdog


def test_a_cut_line_wakes_its_reader() -> None:
    near, far = socket.socketpair()
    woken = threading.Event()

    def read() -> None:
        assert near.recv(1) == b""
        woken.set()

    thread = threading.Thread(target=read)
    line = Line(near)
    thread.start()
    line.cut()
    assert woken.wait(5)
    thread.join()
    near.close()
    far.close()


def test_a_line_is_open_for_its_last_holder_only() -> None:
    """The connection is closed, but a response is still read: the deadline can cut it."""
    near, far = socket.socketpair()
    with Deadline(Watchdog(60)) as deadline:
        deadline.guard(Line(near))
        near.close()
        far.setblocking(False)
        try:
            far.recv(1)
        except BlockingIOError:
            pass
        else:
            raise AssertionError("closed too soon")
    far.settimeout(5)
    assert far.recv(1) == b""
    far.close()


def test_a_line_that_is_guarded_too_late_is_cut_at_once() -> None:
    near, far = socket.socketpair()
    watchdog = Watchdog(60)
    with Deadline(watchdog) as deadline:
        deadline.expire()
        deadline.guard(Line(near))
        assert near.recv(1) == b""
    near.close()
    far.close()


def test_each_of_many_deadlines_passes_in_its_time() -> None:
    """Some are over long before: they never pass."""
    watchdog = Watchdog(0.2)
    late_s: list[float] = []
    early: list[bool] = []

    def wait(stay: bool) -> None:
        near, far = socket.socketpair()
        with Deadline(watchdog) as deadline:
            deadline.guard(Line(near))
            if stay:
                near.recv(1)
                late_s.append(time.monotonic() - deadline.at_s)
            else:
                early.append(deadline.passed)
        near.close()
        far.close()

    threads = [threading.Thread(target=wait, args=(i % 3 != 0,)) for i in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert early == [False] * 8
    assert len(late_s) == 16
    assert all(0 <= late < 0.5 for late in late_s)


def test_the_watchdog_ends_with_its_client() -> None:
    watchdog = Watchdog(0.05)
    with Deadline(watchdog):
        pass
    thread = watchdog._thread
    assert thread is not None
    del watchdog
    gc.collect()
    thread.join(5)
    assert not thread.is_alive()


def test_a_closed_watchdog_ends_at_once() -> None:
    watchdog = Watchdog(600)
    with Deadline(watchdog):
        pass
    watchdog.close()
    thread = watchdog._thread
    assert thread is not None
    thread.join(5)
    assert not thread.is_alive()
