"""2,000 requests of four processes with four threads each, under the published limits a third as long.

Between its permit and its arrival each request is delayed by chance, as networks do. What counts is
what the look-alike sees: the fullest window, and how long it took beside the least time possible.
"""

from __future__ import annotations

import multiprocessing
import random
import secrets
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from multiprocessing.connection import Client, Listener
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console

from cluster.lookalike.launch import Lookalike, run_lookalike
from cluster.lookalike.settings import PUBLISHED_WINDOWS, Settings
from tests.benchmarks.gates import GATES, Candlefleet, Gate, Windows

REQUESTS = 2_000
PROCESSES = 4
THREADS = 4
SHORTER = 3  # spans and delays alike; the limits stay
WINDOWS = tuple((limit, seconds / SHORTER) for limit, seconds in PUBLISHED_WINDOWS)
ON_THE_WAY_S = 0.15 / SHORTER  # at the most, from the permit to the server
ANSWER_S = 0.05 / SHORTER  # on the average, and as much more by chance
#: Three whole minutes are waited for, then nine whole seconds.
BOUND_S = 3 * WINDOWS[1][1] + 9 * WINDOWS[0][1]
ENDS_WITHIN_S = 300
PATH = "/v3/historical-candle/NSE_EQ%7CINE062A01020/days/1/2024-01-05/2024-01-01"

SHARED = "candlefleet, one limiter a process"


@dataclass(frozen=True, slots=True)
class Result:
    worst: tuple[int, ...]  # requests in the fullest span of each window, at the server
    seconds: float  # from the first request to the last

    @property
    def share(self) -> float:
        """Of the throughput that the limits allow."""
        return BOUND_S / self.seconds


def run(_rounds: int) -> None:
    """Once each: it is the windows that make it long, not the machine."""
    console = Console(width=120, highlight=False)
    console.print(f"budget: {REQUESTS:,} requests; the bound is {BOUND_S:.2f} s")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        contestants: dict[str, Callable[[], _Hosted | _InEach]] = {
            name: partial(_Hosted, gate) for name, gate in GATES.items()
        }
        contestants[SHARED] = partial(_InEach, folder)
        for name, contestant in contestants.items():
            console.print(f"  {name}: {_in_words(_compete(contestant()))}")


def _in_words(result: Result) -> str:
    fullest = ", ".join(
        f"{worst}/{limit}{' OVER' if worst > limit else ''}"
        for worst, (limit, _) in zip(result.worst, WINDOWS, strict=True)
    )
    return f"worst at the server {fullest}; {result.seconds:.2f} s, {result.share:.1%} of the bound"


class _Hosted:
    """One limiter in this process; the others reach it over a connection for each thread."""

    def __init__(self, make: Callable[[Windows], Gate]) -> None:
        self._gate = make(WINDOWS)
        self._key = secrets.token_bytes(16)
        self._listener = Listener(("127.0.0.1", 0), authkey=self._key, backlog=PROCESSES * THREADS)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        for _ in range(PROCESSES * THREADS):
            connection = self._listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: Any) -> None:
        with connection:
            while True:
                try:
                    ticket = connection.recv()
                except EOFError:
                    return
                if ticket is None:
                    connection.send(self._gate.enter())
                else:
                    self._gate.leave(ticket)

    def door(self) -> tuple[Callable[..., Gate], tuple[Any, ...]]:
        """What a process calls, for each of its threads, to reach the gate."""
        return _Remote, (self._listener.address, self._key)


class _Remote:
    def __init__(self, address: Any, key: bytes) -> None:
        self._connection = Client(address, authkey=key)

    def enter(self) -> int:
        self._connection.send(None)
        ticket: int = self._connection.recv()
        return ticket

    def leave(self, ticket: int) -> None:
        self._connection.send(ticket)


class _InEach:
    """A limiter in each process, on one ledger."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def door(self) -> tuple[Callable[..., Gate], tuple[Any, ...]]:
        return _own_limiter, (WINDOWS, self._folder)


_own: list[Gate] = []
_own_lock = threading.Lock()


def _own_limiter(windows: Windows, folder: str) -> Gate:
    """This process's, made once."""
    with _own_lock:
        if not _own:
            _own.append(Candlefleet(windows, folder))
        return _own[0]


def _compete(contestant: _Hosted | _InEach) -> Result:
    settings = Settings(
        windows=WINDOWS,
        unlimited=True,
        log_arrivals=True,
        latency_s=ANSWER_S,
        jitter_s=ANSWER_S,
    )
    context = multiprocessing.get_context("spawn")
    with run_lookalike(settings) as exchange:
        door = contestant.door()
        arguments = [(exchange, door, seed) for seed in range(PROCESSES)]
        processes = [context.Process(target=_spend, args=each) for each in arguments]
        for process in processes:
            process.start()
        for process in processes:
            process.join(ENDS_WITHIN_S)
            process.kill()
        judged = exchange.judge(with_log=True)
    stamps = [at_ns for at_ns, _, _ in judged["log"]]
    assert len(stamps) == REQUESTS, f"{len(stamps)} requests arrived"
    return Result(
        worst=tuple(window["worst"] for window in judged["windows"]),
        seconds=(max(stamps) - min(stamps)) / 1e9,
    )


def _spend(
    exchange: Lookalike, door: tuple[Callable[..., Gate], tuple[Any, ...]], seed: int
) -> None:
    """One process: its threads share its part of the requests."""
    part = REQUESTS // PROCESSES // THREADS
    threads = [
        threading.Thread(target=_send, args=(exchange, door, part, seed * THREADS + i))
        for i in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _send(
    exchange: Lookalike, door: tuple[Callable[..., Gate], tuple[Any, ...]], part: int, seed: int
) -> None:
    chance, pause = random.Random(seed), threading.Event()
    make, arguments = door
    gate = make(*arguments)
    connection = HTTPConnection(urlsplit(exchange.base_url).netloc, timeout=60)
    for _ in range(part):
        ticket = gate.enter()
        pause.wait(chance.uniform(0, ON_THE_WAY_S))
        connection.request("GET", PATH)
        connection.getresponse().read()
        gate.leave(ticket)
    connection.close()
