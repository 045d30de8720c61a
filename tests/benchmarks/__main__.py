"""Measurements, not tests: `python -m tests.benchmarks [part ...]`, most parts by default."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable

from tests.benchmarks import (
    budget,
    budget_bound,
    crashes,
    fetch,
    fortnight,
    hosts,
    memory,
    one_pass,
    permits,
    prediction,
    reading,
    scaling,
    screen,
    soak,
    startup,
    update,
    verify,
)
from tests.benchmarks.meter import Failed

#: What is measured, by name. Each prints what it found; the number is of rounds.
PARTS: dict[str, Callable[[int], None]] = {
    "fetch": fetch.run,
    "startup": startup.run,
    "memory": memory.run,
    "scaling": scaling.run,
    "budget": budget.run,
    "permits": permits.run,
    "prediction": prediction.run,
    "budget_bound": budget_bound.run,
    "update": update.run,
    "crashes": crashes.run,
    "crashes_s3": crashes.run_in_a_bucket,
    "soak": soak.run,
    "fortnight": fortnight.run,
    "hosts": hosts.run,
    "reading": reading.run,
    "verify": verify.run,
    "screen": screen.run,
    "one_pass": one_pass.run,
}
#: Too long for a round of all of them, or only for root.
ONLY_BY_NAME = {"soak", "hosts"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    parser.add_argument("--list", action="store_true", help="name the parts and end")
    parser.add_argument("--rounds", type=int, default=3, help="medians are of so many; default 3")
    asked = parser.parse_args()
    unknown = [name for name in asked.parts if name not in PARTS]
    if unknown or asked.rounds < 1:
        parser.error(f"no part {unknown[0]}; see --list" if unknown else "at least one round")
    if asked.list:
        print(*PARTS, sep="\n")
        return
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs; {_load()}")
    for name in asked.parts or [name for name in PARTS if name not in ONLY_BY_NAME]:
        began_s = time.monotonic()
        try:
            PARTS[name](asked.rounds)
        except Failed as failure:
            sys.exit(f"{name}: {failure}")
        print(f"{name} took {time.monotonic() - began_s:.0f} s; {_load()}\n", flush=True)


def _load() -> str:
    """Others at work on the machine make every figure doubtful: say so."""
    return f"load average {os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    main()
