from __future__ import annotations

from collections import deque
from collections.abc import Container
from typing import Generic, TypeVar

Ticket = TypeVar("Ticket")


class Queue(Generic[Ticket]):
    """Who waits for a permit: first come, first served, past those whose run is paused."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, Ticket]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, run_id: str, ticket: Ticket) -> None:
        """Wait at the end."""
        self._waiting.append((run_id, ticket))

    def first(self, paused: Container[str]) -> tuple[str, Ticket] | None:
        """Who is next, left in place."""
        return next((entry for entry in self._waiting if entry[0] not in paused), None)

    def drop(self, ticket: Ticket) -> None:
        """Take it out, if it is still there."""
        self._waiting = deque(entry for entry in self._waiting if entry[1] is not ticket)

    def leave(self, run_id: str) -> list[Ticket]:
        """Take out all of a run. Returns their tickets."""
        gone = [ticket for run, ticket in self._waiting if run == run_id]
        self._waiting = deque(entry for entry in self._waiting if entry[0] != run_id)
        return gone
