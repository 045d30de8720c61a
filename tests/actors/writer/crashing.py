"""A writer to be killed: run by test_crash.py, never by pytest itself.

Started once, it forks a writer for every line `first_batch seed where` on stdin, kills it, and
answers with the number of the last batch the writer called lasting. `where` says at which moment it
dies: `anytime`, at a random moment (`anytime*4`: of four times as long a span), or the name of the
step before which it stops itself (`put_candles*2`: the second time).
"""

from __future__ import annotations

import importlib.util
import os
import random
import select
import signal
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from actors.writer import store, tables

DAY = timedelta(days=1)
SPAN = (date(2020, 1, 1), date(2020, 1, 5))  # replaced by every batch
KEYS = [f"NSE_EQ|{n}" for n in range(3)]
FICKLE = "NSE_EQ|fickle"  # comes with every batch, and goes


def kit():
    place = Path(__file__).with_name("conftest.py")
    spec = importlib.util.spec_from_file_location("kit", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Kit()


def batch_of(kit, number):
    """A new day for each instrument, a span that is replaced, one that is taken away, and a failure."""
    kit._clock = datetime(2024, 6, 1, 12, tzinfo=UTC) + 3 * number * DAY
    day = date.fromordinal(date(2021, 1, 1).toordinal() + number)
    for key in KEYS:
        yield kit.stored(kit.chunk(key, day, day), float(number), run_id=str(number))
        yield kit.stored(kit.chunk(key, *SPAN), float(number), run_id=str(number))
    yield kit.failed(kit.chunk("NSE_EQ|gone", *SPAN), run_id=str(number))
    fickle = kit.chunk(FICKLE, *SPAN)
    yield kit.stored(fickle, float(number), run_id=f"{number}")
    yield kit.empty(fickle, f"{number}.1")
    kit._clock += DAY
    yield kit.empty(fickle, f"{number}.2")


def step_of(where):
    name, _, times = where.partition("*")
    return name, int(times or 1)


def write(uri, number, where, says):
    name, times = step_of(where)
    if name != "anytime":
        step, left = getattr(tables, name), [times]

        def stop(*arguments):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(*arguments)

        setattr(tables, name, stop)
    deliveries = kit()
    writer = store.StoreWriter(uri)
    os.write(says, b"0\n")
    while True:
        writer.commit(list(batch_of(deliveries, number)))
        os.write(says, f"{number}\n".encode())
        if number % 3 == 0:
            writer.tidy(date(2000, 1, 1))
        number += 1


def main(uri):
    for line in sys.stdin:
        first, seed, where = line.split()
        hears, says = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(hears)
            write(uri, int(first), where, says)
        os.close(says)
        told = b""
        name, times = step_of(where)
        if name == "anytime":
            told = os.read(hears, 100)  # it is open
            select.select([], [], [], random.Random(seed).uniform(0, 0.12 * times))
            os.kill(child, signal.SIGKILL)
        while piece := os.read(hears, 4096):
            told += piece
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), status
        assert os.WTERMSIG(status) == signal.SIGKILL
        print(max([0, *map(int, told.split())]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
