from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Ticket = TypeVar("Ticket")


@dataclass(slots=True)
class Queue(Generic[Ticket]):
    """Who waits for a permit: first come, first served; runs that are paused are passed over."""

    _waiting: deque[tuple[str, Ticket]] = field(default_factory=deque)
    _paused: set[str] = field(default_factory=set)
    _stopped: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, run_id: str, ticket: Ticket) -> bool:
        """Wait at the end. False: the run was stopped, and gets no more permits."""
        if run_id in self._stopped:
            return False
        self._waiting.append((run_id, ticket))
        return True

    def first(self) -> tuple[str, Ticket] | None:
        """Who is next, left in place."""
        return next((entry for entry in self._waiting if entry[0] not in self._paused), None)

    def leave(self, entry: tuple[str, Ticket]) -> None:
        self._waiting.remove(entry)

    def pause(self, run_id: str) -> None:
        self._paused.add(run_id)

    def resume(self, run_id: str) -> None:
        self._paused.discard(run_id)

    def stop(self, run_id: str) -> list[Ticket]:
        """Send the run's waiters home, for good. Returns their tickets."""
        self._stopped.add(run_id)
        gone = [ticket for run, ticket in self._waiting if run == run_id]
        self._waiting = deque(entry for entry in self._waiting if entry[0] != run_id)
        return gone
