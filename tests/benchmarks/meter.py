"""Runs a command and measures all its processes, those that Ray starts for it included."""

from __future__ import annotations

import re
import resource
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

# At Ray's dozen processes, looking so often takes 3 % of one core; oftener, it would be felt.
LOOK_EVERY_S = 0.2
MEMORY_EVERY = 3  # looks


@dataclass(frozen=True, slots=True)
class Measured:
    began_s: float  # time.monotonic(), which all processes of a machine share
    seconds: float
    cpu_s: float
    peak_bytes: int
    peaks: dict[str, int]  # bytes; of the processes of each name, at their own worst moments
    stdout: str
    stderr: list[tuple[float, str]]  # lines, and when they came, time.monotonic()
    looks: list[tuple[float, float]]  # time.monotonic(), CPU seconds until then

    def cpu_between(self, first_s: float, last_s: float) -> float:
        spent = np.interp([first_s, last_s], *zip(*self.looks, strict=True))
        return float(spent[1] - spent[0])


class Failed(Exception):
    """A contestant did not do its job, so there is nothing to measure."""


@dataclass(slots=True)
class _Seen:
    """A family of processes. Once seen, a process stays in it, even if its parent dies."""

    cpu_s: dict[psutil.Process, float] = field(default_factory=dict)
    looks: list[tuple[float, float]] = field(default_factory=list)
    peak_bytes: int = 0
    peaks: Counter[str] = field(default_factory=Counter)

    def look(self, root: psutil.Process) -> None:
        memory = len(self.looks) % MEMORY_EVERY == 0
        with suppress(psutil.NoSuchProcess):
            for process in [root, *root.children(recursive=True)]:
                self.cpu_s.setdefault(process, 0.0)
        held: Counter[str] = Counter()
        for process in self.cpu_s:
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                times = process.cpu_times()
                self.cpu_s[process] = times.user + times.system
                if memory:
                    held[_kind(process)] += _share_bytes(process)
        self.looks.append((time.monotonic(), sum(self.cpu_s.values())))
        self.peak_bytes = max(self.peak_bytes, held.total())
        self.peaks |= held


def _kind(process: psutil.Process) -> str:
    """What it is: an actor by its class, whatever it does just now and whatever it is called."""
    name = process.name()
    return re.split(r"\W", name.removeprefix("ray::"))[0].lower()


def _share_bytes(process: psutil.Process) -> int:
    """What it has for itself, and its share of what it has with others where the system tells."""
    full = process.memory_full_info()
    return getattr(full, "pss", full.uss)


def measure(
    command: Sequence[str], environment: Mapping[str, str], within_s: float = 120.0
) -> Measured:
    """Raises Failed if it fails or takes too long. No other children may end meanwhile."""
    seen, lines = _Seen(), list[tuple[float, str]]()
    with tempfile.TemporaryFile("w+") as stdout:
        reaped_s, began_s = _reaped_s(), time.monotonic()
        with _running(command, environment, stdout.fileno(), lines) as process:
            ended = _Ended(process)
            root = psutil.Process(process.pid)
            while not ended.wait(LOOK_EVERY_S):
                seen.look(root)
                if time.monotonic() - began_s > within_s:
                    raise Failed(f"{' '.join(command)}\ntook over {within_s:g} s")
        if process.returncode:
            said = "\n".join(line for _, line in lines[-20:])
            raise Failed(f"{' '.join(command)}\nended with {process.returncode}:\n{said}")
        stdout.seek(0)
        # Looking misses a process's last moments; the system counts all of a process, but misses
        # those that nobody waited for. The truth is no less than either.
        cpu_s = max(sum(seen.cpu_s.values()), _reaped_s() - reaped_s)
        seconds = ended.at_s - began_s
        seen.looks.append((ended.at_s, cpu_s))
        peaks = seen.peak_bytes, dict(seen.peaks)
        return Measured(began_s, seconds, cpu_s, *peaks, stdout.read(), lines, seen.looks)


class _Ended(threading.Event):
    """Set the moment a process ends: waiting for one with a timeout is only accurate to 50 ms."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        super().__init__()
        self.at_s = 0.0
        threading.Thread(target=self._await, args=(process,), daemon=True).start()

    def _await(self, process: subprocess.Popen[str]) -> None:
        process.wait()
        self.at_s = time.monotonic()
        self.set()


@contextmanager
def _running(
    command: Sequence[str],
    environment: Mapping[str, str],
    stdout: int,
    lines: list[tuple[float, str]],
) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command, stdout=stdout, stderr=subprocess.PIPE, env=dict(environment), text=True
    ) as process:
        reader = threading.Thread(target=_stamp, args=(process, lines), daemon=True)
        reader.start()
        try:
            yield process
        finally:
            _end(process)
            reader.join(5)


def _stamp(process: subprocess.Popen[str], lines: list[tuple[float, str]]) -> None:
    assert process.stderr is not None
    lines.extend((time.monotonic(), line.rstrip()) for line in process.stderr)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


def _reaped_s() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def last_written_s(folder: Path, pattern: str) -> float:
    """When the newest of the files was written, on the clock of time.monotonic()."""
    newest_at = max(path.stat().st_mtime for path in folder.glob(pattern))
    return newest_at - time.time() + time.monotonic()
