"""Rate limiters behind one door: ours and four others', each keeping three windows at once.

Served from one process to many, in the same way for all, so that what differs is the limiter.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from actors.limiter.actor import Limiter
from actors.limiter.terms import Fate, Settlement, Terms
from actors.market.window import NS_PER_S, Window

#: (limit, seconds)
Windows = tuple[tuple[int, float], ...]

KEY = "account"


class Gate(Protocol):
    """Lets a request through when it may be sent. Called from many threads."""

    def enter(self) -> int: ...

    def leave(self, ticket: int) -> None:
        """Its answer has come. Only ours wants to know."""


class _Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class Candlefleet:
    def __init__(self, windows: Windows, folder: str = "") -> None:
        """Limiters that are given the same folder share what is in it, and nothing else."""
        made = tuple(Window(limit, round(seconds * NS_PER_S)) for limit, seconds in windows)
        self._terms = Terms(KEY, made, timeout_s=30.0)
        self._limiter = Limiter(folder or tempfile.mkdtemp(prefix="benchmark-"))
        self._run_id = f"run-{id(self)}-{Path(folder).name}"
        self._loop = _Loop()

    def enter(self) -> int:
        (permit,) = self._loop.run(self._limiter.acquire(self._terms, self._run_id, "fetcher-1"))
        number: int = permit.number
        return number

    def leave(self, ticket: int) -> None:
        settled = Settlement(self._terms, ticket, Fate.ANSWERED)
        self._loop.run(self._limiter.settle([settled]))


class PyrateLimiter:
    def __init__(self, windows: Windows) -> None:
        from pyrate_limiter import InMemoryBucket, Limiter, Rate

        rates = [Rate(limit, round(seconds * 1_000)) for limit, seconds in windows]
        self._limiter = Limiter(InMemoryBucket(rates))

    def enter(self) -> int:
        self._limiter.try_acquire(KEY)
        return 0

    def leave(self, ticket: int) -> None:
        pass


class AioLimiter:
    def __init__(self, windows: Windows) -> None:
        from aiolimiter import AsyncLimiter

        self._loop = _Loop()
        self._limiters = [AsyncLimiter(limit, seconds) for limit, seconds in windows]

    def enter(self) -> int:
        self._loop.run(self._all())
        return 0

    async def _all(self) -> None:
        for limiter in reversed(self._limiters):  # the widest first, so that the narrowest is last
            await limiter.acquire()

    def leave(self, ticket: int) -> None:
        pass


class Limits:
    """Moving windows, tested together and hit together under a lock: as careful as its users can be."""

    def __init__(self, windows: Windows) -> None:
        from limits.storage import MemoryStorage
        from limits.strategies import MovingWindowRateLimiter

        self._items = [_limits_item(limit, seconds) for limit, seconds in windows]
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._lock = threading.Lock()

    def enter(self) -> int:
        pause = threading.Event()
        while not self._hit():
            pause.wait(0.002)  # it knows no waiting of its own
        return 0

    def _hit(self) -> bool:
        with self._lock:
            if not all(self._limiter.test(item, KEY) for item in self._items):
                return False
            for item in self._items:
                self._limiter.hit(item, KEY)
            return True

    def leave(self, ticket: int) -> None:
        pass


def _limits_item(limit: int, seconds: float) -> Any:
    """The library's own know whole seconds only."""
    from limits import RateLimitItemPerSecond

    class Item(RateLimitItemPerSecond):
        def get_expiry(self) -> float:  # type: ignore[override]
            return seconds

        def key_for(self, *identifiers: str) -> str:
            return f"{super().key_for(*identifiers)}/{seconds}"

    return Item(limit)


class ThrottledPy:
    """It knows whole seconds only: so its windows are long ones, on a clock that runs faster."""

    def __init__(self, windows: Windows) -> None:
        from throttled import MemoryStore, Throttled, rate_limiter, utils

        faster = 1 / min(seconds for _, seconds in windows)
        utils.now_sec = lambda: int(time.time() * faster)
        utils.now_ms = lambda: int(time.time() * faster * 1_000)
        utils.now_mono_f = lambda: time.monotonic() * faster
        store = MemoryStore()
        self._throttles = [
            Throttled(
                key=f"{KEY}/{seconds}",
                using="sliding_window",
                quota=rate_limiter.per_duration(timedelta(seconds=seconds * faster), limit),
                store=store,
            )
            for limit, seconds in reversed(windows)
        ]

    def enter(self) -> int:
        pause = threading.Event()
        for throttle in self._throttles:
            while throttle.limit().limited:
                pause.wait(0.002)  # its own waiting would be by the slower clock
        return 0

    def leave(self, ticket: int) -> None:
        pass


GATES: dict[str, Callable[[Windows], Gate]] = {
    "candlefleet": Candlefleet,
    "pyrate-limiter": PyrateLimiter,
    "aiolimiter": AioLimiter,
    "limits, moving window": Limits,
    "throttled-py, sliding window": ThrottledPy,
}
