from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

import psutil
import pytest

from cluster.exit import Exit
from cluster.interrupt import ONE_S, interruptible


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_only_sets_the_flag_and_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with interruptible() as interrupt:
        assert not interrupt
        os.kill(os.getpid(), number)
        assert interrupt
        assert interrupt.signal == number.name
    assert signal.getsignal(number) is before


DRAINING = """
import os, signal, sys
from cluster.interrupt import heed_signals, interruptible
heed_signals()
with interruptible() as interrupt:
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    print(interrupt.signal, flush=True)
    sys.stdin.read()
"""


def signal_until_it_ends(process: subprocess.Popen[Any], number: signal.Signals) -> float:
    """How long that took, in seconds."""
    began_s = time.monotonic()
    while True:
        process.send_signal(number)
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            assert time.monotonic() < began_s + 20
        else:
            return time.monotonic() - began_s


def test_two_signals_at_once_are_one_and_a_later_one_ends_the_process() -> None:
    """`timeout` sends one to the command, and one to its group."""
    with subprocess.Popen(
        [sys.executable, "-c", DRAINING], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"SIGTERM\n"
        signal_until_it_ends(process, signal.SIGINT)
        assert process.returncode == Exit.INTERRUPTED


def test_a_terminal_that_is_gone_interrupts_once_however_often_that_is_said() -> None:
    """The system says it, and the shell, with any time between."""
    with subprocess.Popen(
        [sys.executable, "-c", DRAINING.replace("SIGTERM", "SIGHUP")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"SIGHUP\n"
        until_s = time.monotonic() + 2 * ONE_S
        while time.monotonic() < until_s:
            process.send_signal(signal.SIGHUP)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.05)
        signal_until_it_ends(process, signal.SIGTERM)
        assert process.returncode == Exit.INTERRUPTED
        assert process.stderr.read() == b"Ended at once.\n"


def test_a_command_that_is_to_outlive_its_terminal_does() -> None:
    """As `nohup` has it."""
    with subprocess.Popen(
        [sys.executable, "-c", DRAINING.replace("SIGTERM", "SIGHUP")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),  # noqa: PLW1509  # no threads here
    ) as process:
        out, _ = process.communicate(timeout=20)
        assert (out, process.returncode) == (b"None\n", 0)


DEAF = """
import hashlib
from cluster.interrupt import heed_signals
heed_signals()
print("deaf", flush=True)
hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # minutes, in which no handler of Python's is run
"""


def test_the_second_signal_ends_even_a_long_call_of_a_library() -> None:
    with subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        busy = psutil.Process(process.pid)
        begun_s = busy.cpu_times().user
        while busy.cpu_times().user < begun_s + 0.1:  # until it is deaf
            pass
        process.send_signal(signal.SIGINT)
        assert signal_until_it_ends(process, signal.SIGTERM) > ONE_S / 2
        assert process.returncode == Exit.INTERRUPTED
