from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from actors.market.memory import MemorySample


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


class MemoryGate:
    """Closed from the moment a host is over the limit until it is a tenth below: no flutter."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._closed_by: str | None = None

    def update(self, hosts: Iterable[HostMemory]) -> str | None:
        """The reason to pause, or None to go on."""
        bar = self._limit_bytes if self._closed_by is None else self._limit_bytes * 9 // 10
        worst = max(hosts, key=lambda h: h.private_bytes, default=None)
        self._closed_by = None
        if worst is not None and worst.private_bytes > bar:
            self._closed_by = (
                f"{worst.private_bytes / 2**20:,.0f} MB in use on {worst.host}, "
                f"memory.limit_mb is {self._limit_bytes / 2**20:,.0f}"
            )
        return self._closed_by
