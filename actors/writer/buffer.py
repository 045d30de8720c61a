from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from actors.market.candles import Delivery


@dataclass(frozen=True, slots=True)
class BufferRules:
    commit_every_s: float = 5.0  # a delivery waits no longer than this for its commit
    commit_bytes: int = 64 * 2**20  # nor once so much has gathered
    limit_bytes: int = 192 * 2**20  # beyond this, fetchers are made to wait


class Buffer:
    """Deliveries between two commits: never more than its limit, never older than its age."""

    def __init__(self, rules: BufferRules) -> None:
        self._rules = rules
        self._deliveries: dict[str, Delivery] = {}
        self._bytes = 0
        self._oldest_s: float | None = None

    def __len__(self) -> int:
        return len(self._deliveries)

    @property
    def size_bytes(self) -> int:
        return self._bytes

    def has_room(self, delivery: Delivery) -> bool:
        """Whether it fits. Into an empty buffer anything does, or it would never be stored."""
        return not self._deliveries or self._bytes + bytes_of(delivery) <= self._rules.limit_bytes

    def add(self, delivery: Delivery, now_s: float) -> None:
        """Take it in. A chunk delivered twice counts once: the newest answer stands."""
        before = self._deliveries.pop(delivery.receipt.chunk.id, None)
        self._bytes += bytes_of(delivery) - (bytes_of(before) if before else 0)
        self._deliveries[delivery.receipt.chunk.id] = delivery
        self._oldest_s = now_s if self._oldest_s is None else self._oldest_s

    def due_s(self, now_s: float) -> float | None:
        """Seconds until a commit is due (0 = now); None while there is nothing to commit."""
        if self._oldest_s is None:
            return None
        if self._bytes >= self._rules.commit_bytes:
            return 0.0
        return max(0.0, self._oldest_s + self._rules.commit_every_s - now_s)

    def take(self) -> list[Delivery]:
        """Everything gathered; the buffer is empty afterwards."""
        taken = list(self._deliveries.values())
        self._deliveries.clear()
        self._bytes = 0
        self._oldest_s = None
        return taken


def bytes_of(delivery: Delivery) -> int:
    return sum(t.nbytes for t in (delivery.candles, delivery.quarantine) if t is not None)


def grouped(deliveries: Iterable[Delivery], group_bytes: int) -> Iterator[list[Delivery]]:
    """The same, in order; a group is full once it has come to `group_bytes`."""
    group: list[Delivery] = []
    size = 0
    for delivery in deliveries:
        group.append(delivery)
        size += bytes_of(delivery)
        if size >= group_bytes:
            yield group
            group, size = [], 0
    if group:
        yield group
