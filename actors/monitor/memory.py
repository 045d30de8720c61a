from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from actors.market.memory import MemorySample

BREATH_S = 1.0
BREATH_EVERY_S = 10.0


class Silence(Enum):
    """Why a process did not say what it holds."""

    BUSY = "busy"
    DEAD = "dead"


class Held:
    """What each of some processes held when it last said so.

    One too busy to answer holds it still, and is so just when its host swaps: were it left out, the gate
    would open then.
    """

    def __init__(self) -> None:
        self._last: dict[str, MemorySample] = {}

    def hear(self, name: str, answer: MemorySample | Silence) -> None:
        if isinstance(answer, MemorySample):
            self._last[name] = answer
        elif answer is Silence.DEAD:
            self._last.pop(name, None)

    def samples(self) -> list[MemorySample]:
        return list(self._last.values())


@dataclass(frozen=True, slots=True)
class HostMemory:
    """What our processes hold on one host."""

    host: str
    processes: int
    private_bytes: int
    host_total_bytes: int
    host_free_bytes: int


def by_host(samples: Iterable[MemorySample]) -> list[HostMemory]:
    """Samples summed by host; one process counts once, however many samples it sent."""
    hosts: dict[str, dict[int, MemorySample]] = defaultdict(dict)
    for each in samples:
        hosts[each.host][each.pid] = each
    return [
        HostMemory(
            host=host,
            processes=len(mine),
            private_bytes=sum(s.private_bytes for s in mine.values()),
            host_total_bytes=next(iter(mine.values())).host_total_bytes,
            host_free_bytes=min(s.host_free_bytes for s in mine.values()),
        )
        for host, mine in sorted(hosts.items())
    ]


@dataclass(frozen=True, slots=True)
class Squeeze:
    """A host holds more than it may."""

    reason: str
    is_shut: bool  # nothing is to be sent just now


class MemoryGate:
    """Squeezed from the moment a host is over the limit until it is a tenth below: no flutter.

    What is freed does not always go back to the system, and what cannot be freed is no reason to end a
    run: squeezed, the fleet may send for `BREATH_S` once in every `BREATH_EVERY_S`.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._since_s: float | None = None  # when it was squeezed

    def update(self, hosts: Iterable[HostMemory], now_s: float) -> Squeeze | None:
        """How things stand; None: go on. `now_s` is on any clock that does not go back."""
        bar = self._limit_bytes if self._since_s is None else self._limit_bytes * 9 // 10
        worst = max(hosts, key=lambda h: h.private_bytes, default=None)
        if worst is None or worst.private_bytes <= bar:
            self._since_s = None
            return None
        if self._since_s is None:
            self._since_s = now_s
        reason = (
            f"{worst.private_bytes / 2**20:,.0f} MB in use on {worst.host}, "
            f"memory.limit_mb is {self._limit_bytes / 2**20:,.0f}"
        )
        shut_s = BREATH_EVERY_S - BREATH_S
        return Squeeze(reason, is_shut=(now_s - self._since_s) % BREATH_EVERY_S < shut_s)
