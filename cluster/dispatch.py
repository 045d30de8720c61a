"""Who fetches what next. Events in, orders out; no clock, no Ray.

A chunk is always in exactly one place:

    queued -> sent -> delivered -> done
      ^        |         |
      |        v         |  (the writer died before it committed)
      +---- waiting      |
      +------------------+
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from actors.fetcher.outcome import (
    Delivered,
    Halted,
    Outcome,
    TooLong,
    TryAgain,
    Undelivered,
    Unsent,
)
from actors.market.chunk import Chunk


@dataclass(frozen=True, slots=True)
class Send:
    """Give `chunk` to `fetcher`; `attempt` counts its requests from 1."""

    fetcher: str
    chunk: Chunk
    attempt: int


@dataclass(slots=True)
class _Errand:
    chunk: Chunk
    attempts: int = 0  # requests known to have been sent
    crashes: int = 0  # fetchers that died with it in hand


class Dispatch:
    """Moves the chunks of a plan to their receipts through fetchers that may fail or vanish."""

    def __init__(
        self, chunks: Iterable[Chunk], lanes: Mapping[str, int], poison_after: int = 3
    ) -> None:
        """`lanes`: how many chunks each fetcher may hold at once."""
        self._queued = deque(_Errand(chunk) for chunk in chunks)
        self._waiting: list[tuple[float, int, _Errand]] = []  # heap by (ready_s, order of arrival)
        self._sent: dict[str, tuple[str, _Errand]] = {}
        self._delivered: dict[str, _Errand] = {}
        self._early: set[str] = set()  # committed before their fetcher's word arrived
        self._free = Counter(dict(lanes))
        self._away: set[str] = set()
        self.poison_after = poison_after
        self._arrivals = 0
        self._stopped = False
        self.halted: Halted | None = None
        self.planned = len(self._queued)  # grows when a chunk is split
        self.done = 0

    @property
    def in_flight(self) -> int:
        return len(self._sent)

    @property
    def uncommitted(self) -> int:
        return len(self._delivered)

    @property
    def pending(self) -> int:
        """Chunks that have no receipt yet."""
        return self.planned - self.done

    @property
    def idle(self) -> bool:
        """Nothing is in flight, and nothing will be sent unless something comes back."""
        return not self._sent and (self._stopped or not (self._queued or self._waiting))

    def orders(self, now_s: float) -> list[Send]:
        """What to send now: as much as the fetchers have hands for, least loaded first."""
        self._wake(now_s)
        orders: list[Send] = []
        while self._queued and not self._stopped:
            present = (lane for lane in self._free.items() if lane[0] not in self._away)
            fetcher, hands = max(present, key=lambda lane: lane[1], default=("", 0))
            if hands <= 0:
                break
            errand = self._queued.popleft()
            self._free[fetcher] -= 1
            self._sent[errand.chunk.id] = (fetcher, errand)
            orders.append(Send(fetcher, errand.chunk, errand.attempts + 1))
        return orders

    def next_wake_s(self) -> float | None:
        """When the first waiting chunk may be sent again."""
        return self._waiting[0][0] if self._waiting and not self._stopped else None

    def settle(self, chunk: Chunk, outcome: Outcome, now_s: float) -> None:
        """A fetcher has answered for `chunk`."""
        errand = self._take_back(chunk)
        match outcome:
            case Delivered():
                errand.attempts += 1
                self._await_commit(errand)
            case TryAgain(wait_s=wait_s):
                errand.attempts += 1
                self._wait(errand, now_s + wait_s)
            case TooLong():
                self._split(errand)
            case Undelivered() | Unsent():
                self._queued.appendleft(errand)
            case Halted():
                self._queued.appendleft(errand)
                self.halted = self.halted or outcome
                self.stop()

    def lost(self, chunk: Chunk) -> Chunk | None:
        """The fetcher died with `chunk` in hand. Returns the chunk if it is poison: to be given up."""
        errand = self._take_back(chunk)
        errand.crashes += 1
        if chunk.id in self._early or errand.crashes >= self.poison_after:
            is_poison = chunk.id not in self._early
            self._await_commit(errand)
            return chunk if is_poison else None
        self._queued.append(
            errand
        )  # to the end: whoever broke a fetcher shall not hold up the others
        return None

    def away(self, fetcher: str) -> bool:
        """Send it nothing until it is `back`. Whether that is news."""
        is_news = fetcher not in self._away
        self._away.add(fetcher)
        return is_news

    def back(self, fetcher: str) -> None:
        self._away.discard(fetcher)

    def committed(self, chunk_ids: Iterable[str]) -> set[str]:
        """The store holds receipts of these chunks. Returns those of which that is news."""
        news: set[str] = set()
        for chunk_id in chunk_ids:
            if self._delivered.pop(chunk_id, None) is not None:
                self.done += 1
                news.add(chunk_id)
            elif chunk_id in self._sent and chunk_id not in self._early:
                # The writer's word has overtaken the fetcher's.
                self._early.add(chunk_id)
                news.add(chunk_id)
        return news

    def writer_lost(self) -> None:
        """What had been delivered but not committed is gone: ask for it again.

        Tell `committed` first of what the store turned out to hold.
        """
        self._queued.extendleft(self._delivered.values())
        self._delivered.clear()

    def stop(self) -> None:
        """Send nothing more."""
        self._stopped = True

    def _wake(self, now_s: float) -> None:
        while self._waiting and self._waiting[0][0] <= now_s:
            self._queued.appendleft(heapq.heappop(self._waiting)[2])

    def _wait(self, errand: _Errand, ready_s: float) -> None:
        self._arrivals += 1
        heapq.heappush(self._waiting, (ready_s, self._arrivals, errand))

    def _take_back(self, chunk: Chunk) -> _Errand:
        fetcher, errand = self._sent.pop(chunk.id)
        self._free[fetcher] += 1
        return errand

    def _await_commit(self, errand: _Errand) -> None:
        if errand.chunk.id in self._early:
            self._early.remove(errand.chunk.id)
            self.done += 1
        else:
            self._delivered[errand.chunk.id] = errand

    def _split(self, errand: _Errand) -> None:
        halves = errand.chunk.halves()
        # A single day cannot be too long: `Fetcher` has made a dead letter of it already.
        assert halves is not None
        self._queued.extendleft(_Errand(half) for half in reversed(halves))
        self.planned += 1
