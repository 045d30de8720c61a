from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

from cluster.exit import Exit
from cluster.interrupt import interruptible


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_only_sets_the_flag_and_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with interruptible() as interrupt:
        assert not interrupt
        os.kill(os.getpid(), number)
        assert interrupt
        assert interrupt.signal == number.name
    assert signal.getsignal(number) is before


TWICE = """
import os, signal
from cluster.interrupt import interruptible
with interruptible():
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)
    print("still here")
"""


def test_the_second_signal_ends_the_process_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TWICE], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == Exit.INTERRUPTED
    assert done.stdout == ""


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
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == Exit.INTERRUPTED
