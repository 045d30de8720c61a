from __future__ import annotations

from collections import deque
from collections.abc import Container
from dataclasses import dataclass
from typing import Generic, TypeVar

Ticket = TypeVar("Ticket")


@dataclass(frozen=True, slots=True)
class Place(Generic[Ticket]):
    """One caller's place in the line."""

    run_id: str
    holder: str  # the fetcher that waits
    ticket: Ticket


class Queue(Generic[Ticket]):
    """Who waits for a permit: first come, first served, past those whose run is paused."""

    def __init__(self) -> None:
        self._waiting: deque[Place[Ticket]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, place: Place[Ticket]) -> None:
        """Wait at the end."""
        self._waiting.append(place)

    def first(self, paused: Container[str]) -> Place[Ticket] | None:
        """Who is next, left in place."""
        return next((place for place in self._waiting if place.run_id not in paused), None)

    def drop(self, place: Place[Ticket]) -> None:
        """Take it out, if it is still there."""
        self._waiting = deque(other for other in self._waiting if other is not place)

    def leave(self, run_id: str, holder: str | None = None) -> list[Ticket]:
        """Take out all of a run, or of one fetcher of it. Returns their tickets."""
        gone = [p for p in self._waiting if p.run_id == run_id and holder in {None, p.holder}]
        self._waiting = deque(place for place in self._waiting if place not in gone)
        return [place.ticket for place in gone]
